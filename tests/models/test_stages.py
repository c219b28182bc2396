"""Stages against a step written out by hand, and against what lies where."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch.nn import functional as F

from infopro_seg.config_edits import with_turn
from infopro_seg.errors import ConfigError
from infopro_seg.models.image import to_rgb
from infopro_seg.models.losses.lean_loss import head_losses
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    deeplabv3plus_config,
    gradients,
    make_batch,
    model_config,
    preprocessed,
    settle,
    summed,
)

STAGES = range(len(CUTS) + 1)
FIRST = ('stem', 'layer1', 'layer2.0')  # the parts of the encoder in each module, for CUTS
SECOND = ('layer2.1', 'layer3')
BLOCKS = (('stem', 'layer1.0', 'layer1.1', 'layer2.0'), ('layer2.1', 'layer3.0', 'layer3.1'))
PLUS = {'decode_head': deeplabv3plus_config(), 'auxiliary_head': None}


def staged(stage, cuts=CUTS, **kwargs):
    config = model_config(cuts, **kwargs)
    with_turn(config['backbone'], stage)
    return config


def owned_names(stage, names):
    """Which of the names belong to a stage, by how the parts of the network are called."""
    early = [
        (*(f'backbone.encoder.{part}.' for part in parts), f'backbone.local_heads.{index}.')
        for index, parts in enumerate((FIRST, SECOND))
    ]
    if stage < 2:
        return {name for name in names if name.startswith(early[stage])}
    return {name for name in names if not name.startswith((*early[0], *early[1], 'data_preprocessor'))}


def by_hand(twin, stage, batch):
    """The loss of one stage, from plain calls of the encoder's own layers."""
    encoder, heads = twin.backbone.encoder, twin.backbone.local_heads
    inputs, samples = preprocessed(twin, batch)

    def first(x):
        return encoder.layer2[0](encoder.layer1(encoder.maxpool(encoder.stem(x))))

    def second(x):
        return encoder.layer3(encoder.layer2[1](x))

    def frozen(function, x):
        twin.eval()
        with torch.no_grad():
            return function(x)

    parts = (first, second)
    state = inputs
    low = frozen(lambda x: encoder.layer1(encoder.maxpool(encoder.stem(x))), inputs)
    for function in parts[:stage]:
        state = frozen(function, state)
        assert (state[0] != state[1]).any()
    twin.train()
    if stage < 2:
        feature = parts[stage](state)
        image = to_rgb(inputs, twin.data_preprocessor)
        decoded = heads[stage].decoder(feature, image.shape[2:])
        task = head_losses(heads[stage].auxiliary_head, [feature], samples)
        return F.binary_cross_entropy_with_logits(decoded, image) + summed(task)
    outputs = [low, None, state, encoder.layer4(state)]
    losses = summed(head_losses(twin.decode_head, outputs, samples))
    if twin.with_auxiliary_head:
        losses = losses + summed(head_losses(twin.auxiliary_head, outputs, samples))
    return losses


@pytest.mark.parametrize('stage', STAGES)
@pytest.mark.parametrize('heads', [{}, PLUS], ids=['deeplabv3', 'deeplabv3+'])
def test_a_step_equals_one_by_hand_on_the_frozen_outputs_of_the_modules_before(stage, heads):
    """The gradients of the stage's module, no others; and its BN statistics, no others."""
    model, twin = settle(build(staged(stage, **heads))), settle(build(model_config(**heads)))
    before = {name: value.clone() for name, value in twin.named_buffers()}
    batch = make_batch()
    [losses] = model.local_losses(*preprocessed(model, batch))
    summed(losses).backward()
    expected = by_hand(twin, stage, batch)
    mine = owned_names(stage, dict(twin.named_parameters()))
    names = {name.replace('backbone.encoder.', 'backbone.') for name in mine}
    expected.backward()
    assert_same(summed(losses), expected)
    assert_same(gradients(model), {k: v for k, v in gradients(twin).items() if k in names})
    buffers = dict(twin.named_buffers())
    mine = owned_names(stage, buffers)
    assert_same(dict(model.named_buffers()), {k: buffers[k] if k in mine else before[k] for k in buffers})


@pytest.mark.parametrize('stage', STAGES)
def test_the_optimizer_moves_and_remembers_only_the_stage_s_parameters(stage):
    model = build(staged(stage))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    logs = model.train_step(make_batch(), OptimWrapper(optimizer))
    mine = owned_names(stage, before)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == mine
    assert {name for name, p in model.named_parameters() if p in optimizer.state} == mine
    prefixes = [('local_0',), ('local_1',), ('decode', 'aux')][stage]
    assert {name.split('.')[0] for name in logs} == {'loss', *prefixes}


@pytest.mark.parametrize(
    ('kwargs', 'cuts'),
    [
        ({}, CUTS),
        ({'encoder': {'type': 'SideNormEncoder'}, 'decode_head': None}, ('steps.0', 'steps.1')),
    ],
    ids=['resnet', 'side norms'],
)
def test_every_parameter_is_trained_in_one_stage(kwargs, cuts):
    if 'decode_head' in kwargs:
        kwargs = {**kwargs, 'decode_head': {**model_config()['decode_head'], 'in_index': [0, 1, 2]}}
        kwargs['decode_head']['input_transform'] = 'resize_concat'
        kwargs['auxiliary_head'] = None
    models = [build(staged(stage, cuts, **kwargs)) for stage in range(len(cuts) + 1)]
    trained = [{n for n, p in model.named_parameters() if p.requires_grad} for model in models]
    assert sorted(name for names in trained for name in names) == sorted(dict(models[0].named_parameters()))
    for model in models:  # and the step's own check agrees that each gets a gradient
        model.train_step(make_batch(), OptimWrapper(torch.optim.SGD(model.parameters(), 0.1)))


def test_finished_modules_stay_in_evaluation_mode():
    model = build(staged(1))
    encoder = model.backbone.encoder
    for _ in range(2):
        model.eval()
        model.train()
        assert not any(m.training for block in BLOCKS[0] for m in encoder.get_submodule(block).modules())
        assert all(m.training for block in BLOCKS[1] for m in encoder.get_submodule(block).modules())
        assert model.backbone.local_heads[1].training


@pytest.mark.parametrize('stage', STAGES)
def test_testing_and_reconstructing_are_those_of_the_network(stage):
    model, twin = settle(build(staged(stage))), settle(build(model_config()))
    model.eval(), twin.eval()
    image = torch.randn(2, 3, 32, 64, dtype=torch.float64)
    assert_same(model.backbone(image), tuple(o.detach() for o in twin.backbone.encoder(image)))
    whole = twin.backbone.reconstructions(image, (32, 64))
    assert_same(model.backbone.reconstructions(image, (32, 64)), whole[: stage + 1])


@pytest.mark.parametrize('stage', [-1, 3, True, 'last'])
def test_a_stage_that_is_no_module_is_refused(stage):
    with pytest.raises(
        ConfigError, match=rf'no stage {stage!r}: the 3 local modules train in the stages 0 to 2'
    ):
        build(staged(stage))


@pytest.mark.parametrize('option', [{'overlap': 1}, {'momentum_block': 0.9}], ids=str)
def test_a_stage_does_not_read_the_next_module(option):
    config = staged(0)
    config['backbone'] |= option
    [name] = option
    with pytest.raises(ConfigError, match=f'{name}=.* do not exist in stage 0; leave out {name}'):
        build(config)
