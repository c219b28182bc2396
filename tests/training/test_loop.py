import json
import signal

import pytest
import torch

from infopro_seg.cli import FAILED, run
from infopro_seg.errors import DataError
from infopro_seg.export import export
from tests.runs import (
    BATCH,
    ITERS,
    SIGINT,
    SIGTERM,
    STOPPED,
    hooks,
    images,
    load,
    train_tiny,
)

TRAINED = ('state_dict', 'optimizer', 'param_schedulers')


def reads(folder, rank=0):
    lines = [line.split() for line in (folder / 'reads').read_text().splitlines()]
    return [name for who, name in lines if who == str(rank)]


def assert_same_run(folder, other, name=f'iter_{ITERS}.pth'):
    """Weights, BN statistics, momentum and learning rates, bit for bit."""
    actual, expected = load(folder / name), load(other / name)
    assert (actual['meta']['iter'], actual['meta']['seed']) == (
        expected['meta']['iter'],
        expected['meta']['seed'],
    )
    for part in TRAINED:
        assert_equal(actual[part], expected[part])


def assert_equal(actual, expected):
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        expected, actual = list(expected.values()), list(actual.values())
    if isinstance(expected, list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_equal(one, other)
    else:
        assert torch.equal(actual, expected) if isinstance(expected, torch.Tensor) else actual == expected


def stop_at(iteration, number=SIGINT, **kwargs):
    return hooks({'type': 'SignalHook', 'iteration': iteration, 'number': number, **kwargs})


@pytest.mark.parametrize('workers', [0, 1])
def test_a_resumed_run_equals_an_uninterrupted_one(streets, trained, tmp_path, workers):
    """With dropout and augmentation, and whether the samples come from this process or a worker."""
    train_tiny(
        streets,
        tmp_path,
        resume=str(trained / f'iter_{STOPPED}.pth'),
        workers=workers,
        reads=tmp_path / 'reads',
    )
    assert_same_run(tmp_path, trained)
    seen = reads(tmp_path)
    rest = reads(trained)[STOPPED * BATCH :]
    assert seen[: len(rest)] == rest  # what was seen before the stop is not loaded again
    assert len(seen) == len(rest) or workers  # a worker loads ahead


def test_the_run_that_is_resumed_is_random_and_learns(streets, trained, tmp_path):
    """What the equalities above are worth: another seed gives other weights, and so does going on."""
    train_tiny(streets, tmp_path, **{'randomness.seed': 1, 'train_cfg.max_iters': 1})
    states = [
        load(folder / f'iter_{n}.pth')['state_dict']
        for folder, n in ((tmp_path, 1), (trained, STOPPED), (trained, ITERS))
    ]
    for one, other in ((0, 1), (1, 2)):
        for key in (
            'backbone.layer4.1.conv1.weight',
            'backbone.stem.1.running_mean',
            'decode_head.conv_seg.bias',
        ):
            assert not torch.equal(states[one][key], states[other][key])


@pytest.mark.parametrize(('number', 'workers'), [(SIGINT, 0), (SIGTERM, 1)])
def test_an_interrupt_ends_the_iteration_and_saves_what_resume_continues(
    streets, trained, tmp_path, number, workers
):
    stopped = train_tiny(streets, tmp_path, workers=workers, custom_hooks=stop_at(2, number))
    assert stopped.iter == 2
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_2.pth'}
    assert not (tmp_path / 'metrics.json').exists()
    resumed = train_tiny(streets, tmp_path, resume=True, workers=workers)
    assert resumed.iter == ITERS
    assert_same_run(tmp_path, trained)


def test_an_interrupt_before_the_gradients_of_a_step_are_complete_loses_none(streets, tmp_path):
    """Three iterations per step, stopped after the second of them."""
    accumulate = {'optim_wrapper.accumulative_counts': 3}
    train_tiny(streets, tmp_path / 'whole', **accumulate)
    train_tiny(streets, tmp_path / 'parts', custom_hooks=stop_at(2), **accumulate)
    train_tiny(streets, tmp_path / 'parts', resume=True, **accumulate)
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


def test_averaged_blocks_are_resumed_and_left_out_of_the_export(streets, tmp_path):
    momentum = {'model.backbone.momentum_block': 0.9, 'train_cfg.max_iters': STOPPED}
    train_tiny(streets, tmp_path / 'whole', **momentum)
    train_tiny(streets, tmp_path / 'parts', custom_hooks=stop_at(1), **momentum)
    train_tiny(streets, tmp_path / 'parts', resume=True, **momentum)
    last = f'iter_{STOPPED}.pth'
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole', last)
    weights = load(tmp_path / 'whole' / last)['state_dict']
    assert weights['backbone.momentum_blocks.0.updates'] == STOPPED
    export(tmp_path / 'whole' / last, tmp_path / 'plain.pth')  # which compares the logits
    training = ('backbone.momentum_blocks.', 'backbone.local_heads.')
    stock = [key for key in weights if not key.startswith(training)]
    assert list(load(tmp_path / 'plain.pth')['state_dict']) == stock


def test_signal_handlers_are_given_back(streets, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    train_tiny(streets, tmp_path, custom_hooks=stop_at(1))
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.mark.parametrize('workers', [0, 1])
def test_a_broken_file_is_named_and_costs_no_training(
    spoilt, trained, tmp_path, capsys, monkeypatch, workers
):
    monkeypatch.setattr('infopro_seg.training.launch.require_data', lambda *given: None)  # it breaks later
    order = reads(trained)
    position = 2 * BATCH + 1  # first read in the third iteration
    assert order.index(order[position]) == position
    broken = next(path for path in images(spoilt) if path.name == order[position])
    content = broken.read_bytes()
    broken.write_bytes(content[:100])

    folder = tmp_path / 'run'
    with pytest.raises(SystemExit) as exited:
        run(lambda: train_tiny(spoilt, folder, workers=workers))
    assert exited.value.code == FAILED
    errors = [line for line in capsys.readouterr().err.splitlines() if 'error' in line.lower()]
    assert len(errors) == 1
    assert errors[0].startswith(f'error: cannot read the image {broken}')
    assert {path.name for path in folder.glob('*.pth')} == {'iter_2.pth'}

    broken.write_bytes(content)
    train_tiny(spoilt, folder, resume=True, workers=workers)
    assert_same_run(folder, trained)


def test_resuming_a_finished_run_says_so_and_gives_its_results_again(streets, tmp_path, capfd):
    options = {'train_cfg.max_iters': 1, 'results': True}
    train_tiny(streets, tmp_path, **options)
    before = json.loads((tmp_path / 'metrics.json').read_text())
    (tmp_path / 'metrics.json').unlink()
    assert 'nothing to train' not in ''.join(capfd.readouterr())
    train_tiny(streets, tmp_path, resume=True, log_level='INFO', **options)
    assert 'the run has reached max_iters=1' in ''.join(capfd.readouterr())
    after = json.loads((tmp_path / 'metrics.json').read_text())
    assert before.pop('peak_memory').keys() > after.pop('peak_memory').keys()  # no iteration, no memory
    assert after == before


def test_the_seed_of_the_checkpoint_continues_not_that_of_the_config(streets, trained, tmp_path):
    train_tiny(streets, tmp_path, resume=str(trained / f'iter_{STOPPED}.pth'), **{'randomness.seed': 7})
    assert_same_run(tmp_path, trained)


def test_an_empty_training_set_is_refused(streets, tmp_path):
    empty = tmp_path / 'empty'
    for kind in ('leftImg8bit', 'gtFine'):
        (empty / kind / 'train').mkdir(parents=True)
        (empty / kind / 'val').symlink_to(streets / kind / 'val')
    with pytest.raises(DataError, match=r'the train split is empty: no \*_leftImg8bit.png in .*/empty/'):
        train_tiny(empty, tmp_path / 'run')
