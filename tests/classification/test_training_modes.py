"""Every way of training local modules, with a classifier: against the same steps written out."""

from copy import deepcopy

import pytest
import torch
from mmengine.optim import OptimWrapper

from infopro_seg.config_edits import with_turn
from infopro_seg.models.recomputation.recompute import POLICIES
from infopro_seg.training.optimizers.cpu_amp import CPUAmpOptimWrapper
from tests.classification.by_hand import ByHand, settle, steps_of
from tests.classification.tiny import CUTS, make_batch, model_config
from tests.models.test_deterministic import Recorder, deterministic
from tests.stand_ins import assert_same, build, gradients, preprocessed, summed

CLOSE = {'rtol': 1e-9, 'atol': 1e-11}
LR, MOMENTUM = 0.1, 0.7
STAGES = range(4)


def settings(modules=4, loss='softmax', **backbone):
    config = model_config(modules, loss)
    config.backbone.update(backbone)
    return config


def staged(stage, **kwargs):
    config = settings(**kwargs)
    with_turn(config.backbone, stage)
    return config


def trained(model, wrapper=OptimWrapper, steps=2):
    """Weights and statistics after some steps, and the losses of the last."""
    optim_wrapper = wrapper(torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9))
    torch.manual_seed(2)
    for step in range(steps):
        logs = model.train_step(make_batch(seed=step), optim_wrapper)
    return {**model.state_dict(), **logs}


@pytest.mark.parametrize('wrapper', [OptimWrapper, CPUAmpOptimWrapper], ids=['plain', 'bf16'])
@pytest.mark.parametrize(('modules', 'loss'), [(1, 'softmax'), (4, 'softmax'), (4, 'contrast')])
def test_recomputation_changes_no_bit(modules, loss, wrapper):
    double = wrapper is OptimWrapper  # autocast leaves float64 alone
    expected = trained(build(settings(modules, loss), double=double), wrapper)
    for policy in [
        *POLICIES[1:],
        'blocks*2',
        *([['norms', 'blocks', 'none', 'expansions']] * (modules == 4)),
    ]:
        model = build(settings(modules, loss, checkpoint=policy, checkpoint_heads=True), double=double)
        assert_same(trained(model, wrapper), expected)


def test_blocks_run_once_more_where_they_are_recomputed():
    model = build(settings(2, checkpoint=['blocks', 'none']))
    runs = dict.fromkeys(('layer1.0', 'layer3.0'), 0)
    for name in runs:
        conv = model.backbone.encoder.get_submodule(name).conv1
        conv.register_forward_hook(lambda *_, name=name: runs.update({name: runs[name] + 1}))
    trained(model, steps=1)
    assert runs == {'layer1.0': 2, 'layer3.0': 1}


@pytest.mark.parametrize('loss', ['softmax', 'contrast'])
@pytest.mark.parametrize('modules', [1, 2, 4])
def test_a_step_in_bf16_equals_one_by_hand_under_autocast(modules, loss):
    model = build(settings(modules, loss), double=False)
    twin = deepcopy(model)
    optim_wrapper = CPUAmpOptimWrapper(torch.optim.SGD(model.parameters(), lr=LR))
    logs = model.train_step(make_batch(), optim_wrapper)
    losses = ByHand(twin, modules, half=True).backward(make_batch())
    torch.optim.SGD(twin.parameters(), lr=LR).step()
    assert_same(dict(model.state_dict()), dict(twin.state_dict()))
    assert_same(logs['loss'], sum(losses).to(logs['loss'].dtype), rtol=1e-6, atol=0.0)
    single = build(settings(modules, loss), double=False)
    trained(single, steps=1)  # the same step in fp32: autocast did something
    assert any((single.state_dict()[key] != value).any() for key, value in model.state_dict().items())


@pytest.mark.parametrize('loss', ['softmax', 'contrast'])
@pytest.mark.parametrize(('modules', 'overlap'), [(4, 0), (4, 1), (2, 2)])
def test_shared_blocks_get_the_gradients_of_both_losses(modules, overlap, loss):
    model = build(settings(modules, loss, overlap=overlap))
    twin = deepcopy(model)
    for losses in model.local_losses(*preprocessed(model, make_batch())):
        summed(losses).backward()
    ByHand(twin, modules, overlap).backward(make_batch())
    assert_same(gradients(model), gradients(twin))
    assert len(gradients(model)) == len(list(model.parameters()))
    assert_same(dict(model.named_buffers()), dict(twin.named_buffers()))


@torch.no_grad()
def move(averages, blocks):
    for average, block in zip(averages, blocks, strict=True):
        source = block.state_dict()
        for key, value in average.state_dict().items():
            whole = not value.is_floating_point()
            value.copy_(source[key] if whole else MOMENTUM * value + (1 - MOMENTUM) * source[key])


@pytest.mark.parametrize('loss', ['softmax', 'contrast'])
@pytest.mark.parametrize('modules', [2, 4])
def test_a_training_through_averages_equals_one_by_hand(modules, loss):
    model = build(settings(modules, loss, momentum_block=MOMENTUM))
    twin = deepcopy(model)
    blocks = [twin.backbone.encoder.get_submodule(steps[0]) for steps in steps_of(modules)[1:]]
    averages = [deepcopy(block).requires_grad_(False) for block in blocks]
    by_hand, optimizer = ByHand(twin, modules, averages=averages), torch.optim.SGD(twin.parameters(), lr=LR)
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=LR))
    for step in range(3):
        model.train_step(make_batch(seed=step), optim_wrapper)
        optimizer.zero_grad()
        by_hand.backward(make_batch(seed=step))
        optimizer.step()
        move(averages, blocks)
    found, expected = (
        {key: value for key, value in each.state_dict().items() if 'momentum_blocks' not in key}
        for each in (model, twin)
    )
    assert_same(found, expected, **CLOSE)
    for block, steps, average in zip(
        model.backbone.momentum_blocks, steps_of(modules)[1:], averages, strict=True
    ):
        kept = {k.removeprefix(f'{steps[0]}.'): v for k, v in block.average.state_dict().items()}
        assert_same(kept, dict(average.state_dict()), **CLOSE)


def own_names(stage, names):
    """Which names belong to the module of a stage, of four."""
    early = [(f'backbone.{step}', f'backbone.local_heads.{index}.') for index, step in enumerate(CUTS[4])]
    early[0] += ('backbone.conv1', 'backbone.bn1')
    parts = [*early, ('backbone.layer3', 'head.')]
    return {name for name in names if name.startswith(parts[stage])}


@pytest.mark.parametrize('loss', ['softmax', 'contrast'])
@pytest.mark.parametrize('stage', STAGES)
def test_a_stage_trains_its_module_on_the_frozen_outputs_of_those_before(stage, loss):
    model, twin = (settle(build(config)) for config in (staged(stage, loss=loss), settings(loss=loss)))
    assert_same(dict(model.state_dict()), dict(twin.state_dict()))
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    [losses] = model.local_losses(*preprocessed(model, make_batch()))
    summed(losses).backward()
    assert_same(summed(losses), ByHand(twin, 4).backward_of_stage(stage, make_batch()))
    assert_same(gradients(model), gradients(twin))
    assert set(gradients(model)) == own_names(stage, gradients(twin))
    assert gradients(model)
    mine, after = own_names(stage, before), twin.state_dict()
    expected = {key: after[key] if key in mine else value for key, value in before.items()}
    assert_same(dict(model.state_dict()), expected)
    changed = trained(model)
    assert {key for key in before if not torch.equal(before[key], changed[key])} == mine


@pytest.mark.parametrize('loss', ['softmax', 'contrast'])
def test_a_deterministic_step_runs_nothing_that_a_gpu_refuses(loss):
    """But for the upsampling of the decoder, in place of which torch itself runs another on a GPU."""
    model = build(settings(loss=loss))
    with deterministic(), Recorder() as recorder:
        found = trained(model)
    assert {name.split('.')[1] for name in recorder.refused()} == {'upsample_bilinear2d_backward'}
    assert_same(found, trained(build(settings(loss=loss))))


def test_every_parameter_is_trained_in_one_stage():
    models = [build(staged(stage)) for stage in STAGES]
    names = [{name for name, p in model.named_parameters() if p.requires_grad} for model in models]
    assert sorted(name for some in names for name in some) == sorted(dict(models[0].named_parameters()))
