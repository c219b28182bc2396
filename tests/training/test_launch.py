import os
import shutil
import socket
import subprocess
import sys
from urllib.error import URLError

import pytest
import torch
from mmengine.config import Config
from mmengine.dist import get_dist_info

from infopro_seg.cli import INTERRUPTED
from infopro_seg.errors import CheckpointError, ConfigError
from infopro_seg.training.launch import train
from infopro_seg.training.runner import connect_ranks
from tests.forks import run_forked, run_ranks
from tests.runs import DEMO, ITERS, ROOT, SIGINT, STOPPED, hooks, load, tiny_options, train_tiny, write_config
from tests.stand_ins import assert_same
from tests.warm_python import warm_python

ENVIRONMENT = {
    **os.environ,
    'PYTHONPATH': str(ROOT),
    'OMP_NUM_THREADS': '1',
}


def lr_of(runner):
    return runner.optim_wrapper.optimizer.param_groups[0]['initial_lr']


def one_iteration(streets, folder, options=None, **arguments):
    options = {**tiny_options(streets), 'train_cfg.max_iters': 1, **(options or {})}
    return train(DEMO, work_dir=str(folder), options=options, **arguments)


def test_ctrl_c_in_the_shell_costs_nothing(streets, trained, tmp_path):
    """The signal goes to the whole group of processes, data-loading workers included, as from a terminal."""
    ctrl_c = {'type': 'SignalHook', 'iteration': 2, 'number': SIGINT, 'group': True}
    config = write_config(
        tmp_path / 'tiny.py', tiny_options(streets, workers=1, custom_hooks=hooks(ctrl_c), log_level='INFO')
    )
    command = [sys.executable, 'tools/train.py', str(config), '--work-dir', str(tmp_path)]
    done = run_forked(command, cwd=ROOT, env=ENVIRONMENT, start_new_session=True)
    assert done.returncode == INTERRUPTED
    assert 'Traceback' not in done.stdout + done.stderr
    assert f'saved {tmp_path / "iter_2.pth"}; continue with --resume' in done.stdout + done.stderr
    train_tiny(streets, tmp_path, resume=True)
    for part in ('state_dict', 'optimizer'):
        actual, expected = (load(folder / f'iter_{ITERS}.pth')[part] for folder in (tmp_path, trained))
        if part == 'optimizer':
            actual, expected = actual['state'], expected['state']
        assert_same(dict(actual), dict(expected))


def test_two_processes_train_one_model(streets, tmp_path):
    """tools/dist_train.sh: each rank reads its share of the images, and both end with the same parameters."""
    options = tiny_options(streets, reads=tmp_path / 'reads', custom_hooks=hooks({'type': 'DigestHook'}))
    config = write_config(tmp_path / 'tiny.py', {**options, 'train_cfg.max_iters': 2})
    command = ['bash', 'tools/dist_train.sh', str(config), '2', '--work-dir', str(tmp_path)]
    with warm_python() as (python, started):  # torch's launcher, and the ranks that this starts
        environment = {**ENVIRONMENT, 'PYTHON': str(python), 'PYTHON_EXEC': str(python)}
        done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(started) == 3
    digests = [(tmp_path / f'digest_{rank}').read_text() for rank in range(2)]
    assert digests[0] == digests[1]

    names = sorted(p.name for p in (streets / 'leftImg8bit/train').glob('*/*.png'))
    by_index = [str(p.name) for p in sorted((streets / 'leftImg8bit/train').rglob('*.png'), key=str)]
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(0)).tolist()
    lines = [line.split() for line in (tmp_path / 'reads').read_text().splitlines()]
    for rank in range(2):
        expected = [by_index[index] for index in order[rank::2][:4]]
        assert [name for who, name in lines if who == str(rank)] == expected
    state = load(tmp_path / 'iter_2.pth')['state_dict']
    assert all(value.isfinite().all() for value in state.values())


def train_as_launched(config, folder):
    assert train(config, work_dir=str(folder), launcher='pytorch').iter == 2


def test_a_signal_to_one_rank_stops_all_at_the_same_iteration(streets, tmp_path):
    """Else the others would wait for its gradients for ever. What waits for a step is that of all ranks."""
    signalled = {'type': 'SignalHook', 'iteration': 2, 'number': SIGINT, 'rank': 1}
    noted = {'type': 'NoteGradients', 'iteration': 2}
    options = tiny_options(streets, custom_hooks=hooks(signalled, noted))
    options['optim_wrapper.accumulative_counts'] = 3
    config = write_config(tmp_path / 'tiny.py', options)
    with socket.create_server(('localhost', 0)) as free:
        port = free.getsockname()[1]
    assert run_ranks(train_as_launched, 2, config, tmp_path, port=port) == [0, 0]
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_2.pth')
    checkpoint = load(tmp_path / 'iter_2.pth')
    assert checkpoint['meta']['iter'] == 2
    one, other = (load(tmp_path / f'gradients_{rank}') for rank in range(2))
    assert any((one[name] != other[name]).any() for name in one)
    expected = {name: (one[name] + other[name]) / 2 for name in one}
    assert_same(checkpoint['gradients'], expected)


def connect_as_slurm_s(folder):
    """As `srun` starts it, which does not set what torch reads."""
    torch.cuda.is_available = lambda: False
    rank = os.environ['RANK']
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'):
        del os.environ[name]
    os.environ.update(SLURM_PROCID=rank, SLURM_NTASKS='2', SLURM_NODELIST='localhost,other')
    os.environ['PATH'] = f'{folder}:{os.environ["PATH"]}'
    connect_ranks(Config({'launcher': 'slurm'}))
    total = torch.tensor(float(rank))
    torch.distributed.all_reduce(total)
    assert total == 1
    assert get_dist_info() == (int(rank), 2)


def test_slurm_without_its_own_command_asks_for_the_address(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    for name, value in {'PROCID': '0', 'NTASKS': '2', 'NODELIST': 'localhost'}.items():
        monkeypatch.setenv(f'SLURM_{name}', value)
    for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_PORT'):
        monkeypatch.setenv(name, '')  # put back afterwards
    monkeypatch.delenv('MASTER_ADDR', raising=False)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ConfigError, match=r'scontrol.*; set MASTER_ADDR to the name of the first node'):
        connect_ranks(Config({'launcher': 'slurm'}))


def test_processes_of_slurm_find_each_other_without_gpus(tmp_path):
    scontrol = tmp_path / 'scontrol'
    scontrol.write_text('#!/bin/sh\necho "$@" | tr " ," "\\n\\n" | tail -n +3\n')  # a node per line
    scontrol.chmod(0o755)
    with socket.create_server(('localhost', 0)) as free:
        port = free.getsockname()[1]
    assert run_ranks(connect_as_slurm_s, 2, tmp_path, port=port) == [0, 0]


@pytest.mark.parametrize(
    ('given', 'batch', 'expected'), [(False, 2, 0.05), (True, 2, 0.025), (True, 4, 0.05)]
)
def test_the_learning_rate_is_scaled_to_the_batch_on_request(streets, tmp_path, given, batch, expected):
    """The demo's lr of 0.05 is meant for 4 images per iteration."""
    runner = one_iteration(streets, tmp_path, {'train_dataloader.batch_size': batch}, auto_scale_lr=given)
    assert lr_of(runner) == pytest.approx(expected)


def test_amp_trains_in_mixed_precision(streets, tmp_path):
    """bfloat16 on a CPU: other weights than in float32, but close to them."""
    first, second = (
        one_iteration(streets, tmp_path / str(amp), amp=amp).model.state_dict() for amp in (False, True)
    )
    key = 'decode_head.conv_seg.weight'
    assert not torch.equal(first[key], second[key])
    torch.testing.assert_close(first[key], second[key], rtol=0.02, atol=0.002)
    assert second[key].dtype == torch.float32


def test_resume_wins_over_load_from(streets, trained, tmp_path):
    """A run that began with another network's weights is resumed with the same command and --resume."""
    load_from = {'load_from': str(trained / f'iter_{STOPPED}.pth')}
    one_iteration(streets, tmp_path, load_from)
    runner = one_iteration(streets, tmp_path, {**load_from, 'train_cfg.max_iters': 2}, resume=True)
    assert runner.iter == 2
    assert (tmp_path / 'iter_2.pth').is_file()


def test_resume_without_a_checkpoint_starts_from_load_from(streets, trained, tmp_path):
    start = {'load_from': str(trained / f'iter_{ITERS}.pth'), 'optim_wrapper.optimizer.lr': 0.0}
    runner = one_iteration(streets, tmp_path, start, resume=True)
    assert runner.iter == 1
    expected = load(trained / f'iter_{ITERS}.pth')['state_dict']['backbone.layer1.0.conv1.weight']
    assert_same(runner.model.state_dict()['backbone.layer1.0.conv1.weight'], expected)


def test_a_checkpoint_that_is_not_there_cannot_be_resumed(streets, tmp_path):
    with pytest.raises(CheckpointError, match=r'no checkpoint nowhere.pth to resume; --resume alone'):
        one_iteration(streets, tmp_path, resume='nowhere.pth')


def test_a_run_continues_where_its_folder_was_moved_to(trained, streets, tmp_path):
    shutil.copy(trained / f'iter_{ITERS}.pth', tmp_path)
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'before' / f'iter_{ITERS}.pth'))
    assert train_tiny(streets, tmp_path, resume=True).iter == ITERS
    assert not (tmp_path / f'iter_{STOPPED}.pth').exists()  # where a training from the start would have been


def test_a_run_whose_latest_checkpoint_was_removed_names_those_that_are_left(streets, tmp_path):
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_9.pth'))
    (tmp_path / 'iter_4.pth').touch()
    with pytest.raises(CheckpointError) as caught:
        one_iteration(streets, tmp_path, resume=True)
    for word in ('last_checkpoint names', 'iter_9.pth', 'iter_4.pth', '--resume FILE', 'delete'):
        assert word in str(caught.value)


def test_a_start_that_is_not_there_is_named_with_its_whole_path(streets, tmp_path, monkeypatch):
    (tmp_path / 'weights').mkdir()
    (tmp_path / 'weights' / 'real.pth').touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        one_iteration(streets, tmp_path, {'load_from': 'weights/stock.pth'})
    for word in (
        "load_from='weights/stock.pth'",
        str(tmp_path / 'weights' / 'stock.pth'),
        'there are weights/real.pth',
        '--cfg-options load_from=None',
    ):
        assert word in str(caught.value)
    assert not list(tmp_path.glob('*/*.log'))  # before anything is built
    with pytest.raises(CheckpointError, match=r'is a folder, not a checkpoint; there are weights/real\.pth'):
        one_iteration(streets, tmp_path, {'load_from': 'weights'})


def test_a_start_that_cannot_be_downloaded_names_the_file_that_belongs_there(streets, tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise URLError('no route to host')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    url = 'https://nowhere.invalid/zoo/stock.pth'
    with pytest.raises(CheckpointError) as caught:
        one_iteration(streets, tmp_path, {'load_from': url})
    for word in (url, 'no route to host', str(tmp_path / 'checkpoints' / 'stock.pth'), 'load_from=FILE'):
        assert word in str(caught.value)


def test_a_config_that_is_not_there_is_answered_with_those_that_are(tmp_path):
    (tmp_path / 'real.py').write_text('')
    with pytest.raises(ConfigError, match=r'no config .*/wrong.py; there are .*/real.py'):
        train(tmp_path / 'wrong.py')
    with pytest.raises(ConfigError, match=r'is a folder; name a config in it; there are .*/real.py'):
        train(tmp_path)


@pytest.mark.parametrize('text', ['model = dict(', "_base_ = './missing.py'", 'a = b', 'a = 1 / 0'])
def test_a_config_that_cannot_be_read_is_named(tmp_path, text):
    (tmp_path / 'broken.py').write_text(text)
    with pytest.raises(ConfigError, match=r'cannot read the config .*/broken.py: \w+'):
        train(tmp_path / 'broken.py')
