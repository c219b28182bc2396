"""The predicted memory of stages, as the planner shows it."""

import json

import pytest
from mmengine.config import Config

from infopro_seg.config_edits import with_turn
from infopro_seg.errors import UserError
from infopro_seg.memory.planning.command import PlanRequest, plan
from infopro_seg.memory.planning.turn_plans import plan_turns, turns_table
from tests.memory.short_resnets import short_encoder
from tests.memory.traces import trace_once
from tests.stand_ins import CUTS, SIZE, model_config

BATCH = 2


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """Three stages, the second with half the images."""
    path = tmp_path_factory.mktemp('plan') / 'staged.py'
    stages = [{}, {'train_dataloader': {'batch_size': BATCH // 2}}, {}]
    model = model_config(encoder=short_encoder())
    lean = {'type': 'LeanCrossEntropyLoss'}
    model['decode_head'].update(loss_decode=lean, num_classes=100)  # logits at the peak, if they are whole
    Config({'model': model, 'train_dataloader': {'batch_size': BATCH}, 'stages': stages}).dump(path)
    return path


@pytest.fixture(scope='module')
def plans(config):
    return plan_turns(Config.fromfile(str(config)))


@pytest.fixture
def planned(config, plans, monkeypatch):
    """What the command writes; it does not trace again."""
    monkeypatch.setattr('infopro_seg.memory.planning.command.plan_turns', lambda *given: plans)
    out = config.with_suffix('.json')
    assert plan(PlanRequest(config, json=out)) == 0
    return json.loads(out.read_text())


def test_the_plan_is_a_trace_of_each_stage_beside_those_of_the_whole_network(config, planned):
    turns = range(len(CUTS) + 1)
    assert [row['stage'] for row in planned] == [None, None, *turns]
    assert [row['training'] for row in planned] == [
        'end to end',
        'all at once',
        *(f'stage {i}' for i in turns),
    ]
    for row in planned:
        cfg = Config.fromfile(str(config))
        if row['training'] == 'end to end':
            cfg.model.backbone.update(cuts=(), local_head=None)
            cfg.model.decode_head.loss_decode.type = 'CrossEntropyLoss'  # mmseg's own, as in other plans
        if row['stage'] is not None:
            with_turn(cfg.model.backbone, row['stage'])
        trace = trace_once(cfg, BATCH // 2 if row['stage'] == 1 else BATCH, SIZE)
        state = trace.parameters + trace.buffers + trace.gradients + trace.optimizer_state
        assert (row['peak_bytes'], row['state_bytes'], row['flops']) == (trace.peak, state, trace.flops)


def test_the_exit_status_tells_whether_every_stage_fits(config, planned, capsys):
    largest = max(row['peak_bytes'] for row in planned if row['stage'] is not None)
    for budget, status in ((largest, 0), (largest - 1, 1)):
        assert plan(PlanRequest(config, budget=f'{budget / 1000}kB')) == status
    shown = capsys.readouterr().out
    for word in ('end to end', 'all at once', 'stage 0', 'stage 1 (batch 1', 'stage 2', 'yes', 'no'):
        assert word in shown


def test_the_last_row_adds_the_flops_of_the_stages_and_has_their_largest_peak(plans):
    last = [list(column.cells)[-1] for column in turns_table(plans).columns]
    reference, *_ = plans
    stages = plans[2:]
    peak = max(plan.trace.peak for plan in stages) / reference.trace.peak
    flops = sum(plan.trace.flops for plan in stages) / reference.trace.flops
    assert last[0] == 'all stages'
    assert last[2:4] == [f'{peak:.3f}', f'{flops:.3f}']


@pytest.mark.parametrize('option', ['plot', 'write_config', 'modules'])
def test_recipes_are_not_planned_for_stages(config, option, tmp_path):
    values = {'plot': tmp_path / 'a.png', 'write_config': tmp_path / 'a.py', 'modules': '2'}
    request = PlanRequest(config, budget='1GiB', **{option: values[option]})
    with pytest.raises(UserError, match=f'--{option.replace("_", "-")}: a config with stages has no recipes'):
        plan(request)
