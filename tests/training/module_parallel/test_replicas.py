"""Two local modules by two replicas, by the runner, against two ranks that train all modules with DDP."""

import json
import socket

import pytest

from infopro_seg.training.launch import train
from tests.forks import run_ranks
from tests.runs import BATCH, DEMO, STOPPED, hooks, load, tiny_options
from tests.stand_ins import assert_same

OPTIONS = {
    'model.backbone.cuts': ('layer2.1',),
    'optim_wrapper.clip_grad': None,
    'train_cfg.max_iters': STOPPED,
    'train_cfg.seed_per_module': True,
    'custom_hooks': hooks({'type': 'ResultsHook', 'rows': 1}),
    'auto_scale_lr': {'enable': True, 'base_batch_size': BATCH},
}


def one_rank(folder, streets, name, module_parallel):
    options = tiny_options(streets, results=True, reads=folder / f'reads_{name}', **OPTIONS)
    train(
        DEMO,
        work_dir=str(folder / name),
        options=options,
        launcher='pytorch',
        module_parallel=module_parallel,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def test_two_by_two_equals_two_ranks_of_all_modules(streets, tmp_path):
    for name, ranks in (('modules', 4), ('ddp', 2)):
        arguments = (tmp_path, streets, name, name == 'modules')
        assert run_ranks(one_rank, ranks, *arguments, port=free_port()) == [0] * ranks
    actual, expected = (load(tmp_path / name / f'iter_{STOPPED}.pth') for name in ('modules', 'ddp'))
    assert_same(actual['state_dict'], expected['state_dict'], rtol=1e-4, atol=1e-5)
    assert [group['lr'] for group in actual['optimizer']['param_groups']] == [
        group['lr'] for group in expected['optimizer']['param_groups']
    ]
    reads = [sorted((tmp_path / f'reads_{name}').read_text().split()[1::2]) for name in ('modules', 'ddp')]
    assert reads[0] == reads[1]  # the same images, each once
    found = [json.loads((tmp_path / name / 'metrics.json').read_text()) for name in ('modules', 'ddp')]
    assert found[0]['mIoU'] == pytest.approx(found[1]['mIoU'], abs=0.005)
    assert (tmp_path / 'modules' / 'panel.png').is_file()
