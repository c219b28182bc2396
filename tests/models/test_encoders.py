"""What holds for every encoder with a block rule; what a few stand for is in test_encoder_use.py."""

from copy import deepcopy

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from infopro_seg.models import iter_blocks
from tests.models.encoder_list import params
from tests.models.encoder_models import as_list, make_encoder, make_image, make_model
from tests.stand_ins import assert_same, gradients, make_batch, preprocessed, summed

every_encoder = pytest.mark.parametrize('tiny', params())


def run_blocks(encoder, image):
    outputs, state = [], image
    for block in iter_blocks(encoder):
        state = block.forward(state)
        outputs.extend(output(state) for output in block.outputs)
    return outputs


def record_layouts(encoder):
    """Notes the strides of what each innermost module is given and gives; other strides, other kernels."""
    layouts = {}

    def note(name, *tensors):
        strides = [tensor.stride() for tensor in tree_leaves(tensors) if isinstance(tensor, torch.Tensor)]
        layouts.setdefault(name, []).append(strides)

    for name, module in encoder.named_modules():
        if not any(True for _ in module.children()):
            module.register_forward_hook(lambda _, given, result, name=name: note(name, given, result))
    return layouts


@every_encoder
@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
def test_running_the_blocks_equals_the_encoder_bit_for_bit(tiny, training):
    encoder, image = make_encoder(tiny, training), make_image(tiny)
    twin = deepcopy(encoder)
    layouts, expected_layouts = record_layouts(twin), record_layouts(encoder)
    torch.manual_seed(1)
    expected = as_list(encoder(image))
    torch.manual_seed(1)
    outputs = run_blocks(twin, image)

    assert layouts == expected_layouts
    assert [output.stride() for output in outputs] == [output.stride() for output in expected]
    assert_same(outputs, expected)
    assert_same(dict(twin.named_buffers()), dict(encoder.named_buffers()))
    if not training:
        return
    for results in (outputs, expected):
        sum(output.sin().sum() for output in results).backward()
    assert_same([p.grad for p in twin.parameters()], [p.grad for p in encoder.parameters()])


@every_encoder
def test_blocks_and_outputs_own_every_parameter_exactly_once(tiny):
    encoder = make_encoder(tiny)
    named = {id(parameter): name for name, parameter in encoder.named_parameters()}
    owned = [named[id(parameter)] for block in iter_blocks(encoder) for parameter in block.owned]
    state, outputs = make_image(tiny), []
    for block in iter_blocks(encoder):
        state = tree_map_only(torch.Tensor, torch.Tensor.detach, block.forward(state))
        outputs.extend(output(state) for output in block.outputs)
    trained = [output for output in outputs if output.requires_grad]
    if trained:
        sum(output.sum() for output in trained).backward()
    of_outputs = [name for name, parameter in encoder.named_parameters() if parameter.grad is not None]
    assert sorted(owned + of_outputs) == sorted(named.values())


@every_encoder
def test_blocks_have_names_of_submodules_and_can_be_read_by_local_heads(tiny):
    encoder = make_encoder(tiny, training=False)
    names, state = [], make_image(tiny)
    for block in iter_blocks(encoder):
        state = block.forward(state)
        feature = block.feature(state)
        assert feature.ndim == 4
        names.append(block.name)
    assert (names[0], names[-1]) == (tiny.blocks[0], tiny.blocks[2])
    assert len(set(names)) == len(names)
    paths = dict(encoder.named_modules())
    assert all(name in paths for name in names[1:])


@every_encoder
def test_each_loss_trains_its_own_module_with_the_gradients_of_the_merged_loss(tiny):
    model = make_model(tiny, (tiny.blocks[0], tiny.blocks[1]))
    twin, batch = deepcopy(model), make_batch(size=tiny.size)
    modules = model.backbone.local_modules()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    owned = [{names[id(p)] for block in blocks for p in block.owned} for blocks in modules]
    found = {}
    torch.manual_seed(1)
    for index, losses in enumerate(model.local_losses(*preprocessed(model, batch))):
        model.zero_grad()
        summed(losses).backward()
        reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        assert set.union(*owned) & reached == owned[index]
        heads = {name for name in reached if '.local_heads.' in name}
        assert all(name.startswith(f'backbone.local_heads.{index}.') for name in heads)
        assert bool(heads) == (index < len(modules) - 1)
        assert not found.keys() & gradients(model).keys()
        found |= gradients(model)
    torch.manual_seed(1)
    summed(twin.loss(*preprocessed(twin, batch))).backward()
    assert_same(found, gradients(twin))
