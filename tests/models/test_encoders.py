"""What holds for every encoder with a block rule."""

from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS
from torch.utils._pytree import tree_leaves, tree_map_only

from infopro_seg.export import to_stock_config
from infopro_seg.models import InfoProBackbone, iter_blocks
from infopro_seg.models.encoder import build_encoder
from tests.models.encoder_list import ENCODERS, params
from tests.stand_ins import (
    assert_same,
    build,
    gradients,
    head_config,
    jitter,
    local_head_config,
    make_batch,
    model_config,
    preprocessed,
    summed,
)

every_encoder = pytest.mark.parametrize('tiny', params())


def make_encoder(tiny, training=True):
    torch.manual_seed(0)
    encoder = jitter(build_encoder(deepcopy(tiny.encoder)))
    encoder.train(training)
    return encoder


def make_image(tiny):
    return torch.randn(2, 3, *tiny.size)


def model_settings(tiny, cuts, all_outputs=True, **backbone):
    """The decode head is a UPerHead on all outputs, or an FCNHead on the last or only one."""
    count = sum(len(block.outputs) for block in iter_blocks(make_encoder(tiny)))
    head = head_config(in_index=count - 1)
    if all_outputs and count > 1:
        head = head_config(type='UPerHead', in_index=tuple(range(count)), pool_scales=(1, 2))
    config = model_config(cuts, encoder=tiny.encoder, decode_head=head, auxiliary_head=None)
    config['data_preprocessor']['size'] = tiny.size
    config['backbone'] |= backbone
    return config


def make_model(tiny, cuts, all_outputs=True, **backbone):
    return build(model_settings(tiny, cuts, all_outputs, **backbone), double=False)


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


def as_list(outputs):
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)


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
def test_it_can_be_cut_after_every_block_and_all_parameters_are_trained(tiny):
    cuts = tuple(block.name for block in iter_blocks(make_encoder(tiny)))[:-1]
    model = make_model(tiny, cuts)
    batch = make_batch(size=tiny.size)
    for losses in model.local_losses(*preprocessed(model, batch)):
        summed(losses).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert [name for name, grad in gradients(model).items() if not grad.isfinite().all()] == []


# HRNet's last exchange makes outputs that such a head does not read, in mmseg too
@pytest.mark.parametrize('tiny', params(ENCODERS.keys() - {'hrnet', 'hrnet_checkpointed'}))
def test_a_head_on_the_last_output_trains_all_blocks(tiny):
    model = make_model(tiny, (tiny.blocks[1],), all_outputs=False)
    for losses in model.local_losses(*preprocessed(model, make_batch(size=tiny.size))):
        summed(losses).backward()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    owned = [p for block in iter_blocks(model.backbone.encoder) for p in block.owned]
    assert [names[id(parameter)] for parameter in owned if parameter.grad is None] == []


@every_encoder
def test_backward_per_module_gives_the_gradients_of_the_merged_loss(tiny):
    model = make_model(tiny, (tiny.blocks[0], tiny.blocks[1]))
    twin, batch = deepcopy(model), make_batch(size=tiny.size)
    torch.manual_seed(1)
    for losses in model.local_losses(*preprocessed(model, batch)):
        summed(losses).backward()
    torch.manual_seed(1)
    summed(twin.loss(*preprocessed(twin, batch))).backward()
    assert_same(gradients(model), gradients(twin))


@every_encoder
def test_losses_train_only_their_own_module(tiny):
    model = make_model(tiny, (tiny.blocks[0], tiny.blocks[1]))
    modules = model.backbone.local_modules()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    batch = make_batch(size=tiny.size)
    for index, losses in enumerate(model.local_losses(*preprocessed(model, batch))):
        model.zero_grad()
        summed(losses).backward()
        reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        own = {names[id(parameter)] for block in modules[index] for parameter in block.owned}
        others = {n for blocks in modules for block in blocks for n in (names[id(p)] for p in block.owned)}
        assert own <= reached
        assert not (others - own) & reached
        heads = {name for name in reached if '.local_heads.' in name}
        assert all(name.startswith(f'backbone.local_heads.{index}.') for name in heads)


@every_encoder
@pytest.mark.parametrize(
    'option', [{'overlap': 1}, {'momentum_block': {'learnable': True}}], ids=['overlap', 'momentum block']
)
def test_local_heads_read_through_the_next_block_of_any_encoder(tiny, option):
    """All is trained, each local loss reaches one block too far at most, and no batch counts twice."""
    cuts = (tiny.blocks[0], tiny.blocks[1])
    model, plain = make_model(tiny, cuts, **option), make_model(tiny, cuts)
    modules = model.backbone.local_modules()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    batch = make_batch(size=tiny.size)
    owned = [{names[id(p)] for block in blocks for p in block.owned} for blocks in modules]
    shared = (
        [{names[id(p)] for p in blocks[0].owned} for blocks in modules[1:]] if 'overlap' in option else []
    )
    ever = set()
    for index, losses in enumerate(model.local_losses(*preprocessed(model, batch))):
        model.zero_grad()
        summed(losses).backward()
        reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        allowed = owned[index] | (shared[index] if index < len(shared) else set())
        assert set.union(*owned) & reached == allowed
        ever |= reached
    assert ever == set(names.values())
    for losses in plain.local_losses(*preprocessed(plain, batch)):
        summed(losses).backward()
    assert counted(model) == counted(plain)

    before = deepcopy(dict(model.named_parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logs = model.train_step(batch, OptimWrapper(optimizer))
    assert logs['loss'].isfinite()
    assert any((before[name] != p).any() for name, p in model.named_parameters())


def counted(model):
    """How many batches each norm of the encoder has counted."""
    buffers = model.backbone.encoder.named_buffers()
    return {name: int(value) for name, value in buffers if name.endswith('num_batches_tracked')}


@every_encoder
def test_the_state_dict_has_the_encoder_s_own_keys(tiny):
    encoder = make_encoder(tiny)
    backbone = InfoProBackbone(deepcopy(tiny.encoder), (tiny.blocks[1],), local_head_config())
    saved = {k: v for k, v in backbone.state_dict().items() if not k.startswith('local_heads.')}
    assert list(saved) == list(encoder.state_dict())
    encoder.load_state_dict(saved, strict=True)


@every_encoder
def test_outside_training_the_backbone_is_its_encoder(tiny):
    backbone = jitter(InfoProBackbone(deepcopy(tiny.encoder), (tiny.blocks[1],), local_head_config()))
    backbone.eval()
    image = make_image(tiny)
    outputs = backbone(image)
    assert_same(outputs, tuple(as_list(backbone.encoder(image))))
    assert [output.shape[1] for output in outputs] == list(backbone.out_channels)


# stock mmseg cannot run a MobileNetV2 with a single output
@pytest.mark.parametrize('tiny', params(ENCODERS.keys() - {'mobilenet_v2_checkpointed'}))
def test_its_export_is_a_stock_network_with_the_same_logits(tiny):
    model = make_model(tiny, (tiny.blocks[1],)).eval()
    exported = to_stock_config(Config({'model': model_settings(tiny, (tiny.blocks[1],))}), model)
    assert exported.model.backbone == tiny.encoder
    stock = MODELS.build(exported.model).eval()
    weights = {key: value for key, value in model.state_dict().items() if '.local_heads.' not in key}
    stock.load_state_dict(weights, strict=True)
    image = make_image(tiny)
    with torch.no_grad():
        assert_same(stock(image), model(image))
