"""`plan.py --module-parallel` says what takes which memory."""

import json

import pytest

from infopro_seg.errors import ConfigError
from infopro_seg.memory.planning.command import PlanModuleParallelRequest, plan_module_parallel
from infopro_seg.memory.planning.process_plan import own_budgets
from tests.runs import DEMO

FLOPS = {'model.backbone.num_modules': 2, 'model.backbone.balance': 'flops'}


def test_messages_are_in_main_memory_and_not_in_the_peak(tmp_path, capsys):
    out = tmp_path / 'plan.json'
    assert plan_module_parallel(PlanModuleParallelRequest(DEMO, 2, (64, 128), modules='2', json=out)) == 0
    first, last = json.loads(out.read_text())[-1]['processes']
    assert first['sent_bytes'] > 2 * 3 * 64 * 128  # the image, a byte per pixel and channel, and a state
    assert (first['main_memory_bytes'], last['main_memory_bytes']) == (
        2 * first['sent_bytes'],
        first['sent_bytes'],
    )
    shown = capsys.readouterr().out
    assert 'messages MiB' in shown
    assert 'the peak counts only memory of the GPU' in shown


@pytest.mark.parametrize(
    ('options', 'modules', 'words'),
    [
        ({'model.backbone.overlap': 1}, '2', 'overlap=1 lets a local head read blocks of the next module'),
        ({'model.type': 'InfoProImageClassifier'}, None, 'module-parallel training is for segmentors'),
        ({'model.backbone.momentum_block': 0.9}, None, 'momentum_block=0.9 lets a local head read blocks'),
        ({**FLOPS, 'model.backbone.budgets': ('1KiB', '1GiB')}, None, 'no cuts make 2 local modules fit'),
        ({**FLOPS, 'model.backbone.budgets': ('1GiB',)}, '2', '1 budgets for 2 local modules'),
        ({**FLOPS, 'model.backbone.budgets': ('1GiB',)}, None, '1 budgets for 2 local modules'),
        ({**FLOPS, 'model.backbone.budgets': ('1GiB',) * 3}, None, '3 budgets for 2 local modules'),
    ],
)
def test_what_no_training_takes_is_refused(options, modules, words):
    with pytest.raises(ConfigError, match=words):
        plan_module_parallel(PlanModuleParallelRequest(DEMO, 2, (32, 64), modules=modules, options=options))


def test_budgets_of_the_config_are_for_its_number_of_modules():
    backbone = {'num_modules': 2, 'balance': 'flops', 'budgets': ('8MiB', '1GiB')}
    assert own_budgets(backbone) == own_budgets(backbone, 2) == [8 * 2**20, 2**30]
    assert own_budgets(backbone, 3) is None
    assert own_budgets({**backbone, 'num_modules': None}) is None  # they have no effect beside cuts
