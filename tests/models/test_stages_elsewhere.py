"""Where the modules of a stage live: finished ones away from the device but while they run."""

from copy import deepcopy

import pytest
import torch
from mmengine import ConfigDict
from mmengine.optim import OptimWrapper
from torch import nn

from infopro_seg.memory.tracing.fake_model import build_model, fake_batch, fake_tensors
from infopro_seg.models.asynchronous.turns import lent
from tests.models.test_stages import BLOCKS, STAGES, owned_names, staged
from tests.stand_ins import SIZE, assert_same, build, model_config


def tensors_of(module):
    return dict([*module.named_parameters(), *module.named_buffers()])


def test_lent_modules_come_back_as_they_were():
    module = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)).eval()
    homes = tensors_of(module)
    values = deepcopy(homes)
    with lent(torch.device('meta'), module):
        away = {name for name, t in tensors_of(module).items() if t.is_meta}
        assert away == homes.keys() - {'1.num_batches_tracked'}  # which nothing reads in evaluation
        assert module(torch.empty(1, 2, 4, 4, device='meta')).shape == (1, 2, 4, 4)
    with pytest.raises(RuntimeError, match='channel'), lent(torch.device('meta'), module):
        module(torch.empty(1, 3, 4, 4, device='meta'))
    after = tensors_of(module)
    assert all(after[name] is homes[name] for name in homes)
    assert_same(after, values)


def test_what_is_on_the_device_already_is_not_copied():
    module = nn.Conv2d(2, 2, 1)
    weight = module.weight
    with lent(torch.device('cpu'), module):
        assert module.weight is weight


@pytest.mark.parametrize('stage', STAGES)
def test_only_the_stage_s_module_moves_to_the_device(stage):
    model = build(staged(stage), double=False).to('meta')
    tensors = tensors_of(model)
    there = {name for name, tensor in tensors.items() if tensor.is_meta}
    assert there == owned_names(stage, tensors) | {'data_preprocessor.mean', 'data_preprocessor.std'}
    assert model.data_preprocessor.device.type == 'meta'
    assert build(model_config(), double=False).to('meta').backbone.encoder.stem[0].weight.is_meta


def test_every_way_to_move_a_model_leaves_finished_modules_where_they_are():
    """`model.cuda()` calls `_apply`, as `model.to` does; there is no GPU here."""
    models = [build(staged(1), double=False) for _ in range(2)]
    models[0].to('meta')
    models[1]._apply(lambda tensor: tensor.to('meta'))
    found = [{name: tensor.device.type for name, tensor in tensors_of(model).items()} for model in models]
    assert found[0] == found[1]
    assert set(found[0].values()) == {'cpu', 'meta'}


def test_a_conversion_reaches_all_of_a_stage():
    assert {p.dtype for p in build(staged(1)).to('meta').half().parameters()} == {torch.half}


def test_moving_may_change_the_type_as_well():
    model = build(staged(1)).to('cpu', torch.float32)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize('stage', STAGES)
def test_in_a_step_finished_blocks_are_on_the_device_only_while_they_run(stage):
    """On tensors without values; the stage's device is the CPU, all other memory the device `meta`."""
    seen = []
    with fake_tensors() as tracker:
        model = build_model(ConfigDict(staged(stage)), SIZE)
        names = list(tensors_of(model))

        def on_device():
            return {name for name, tensor in tensors_of(model).items() if tensor.device.type == 'cpu'}

        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(lambda *_, name=name: seen.append((name, on_device())))
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
        model.train_step(fake_batch(2, SIZE, tracker), OptimWrapper(optimizer))
        left = on_device()
    own = owned_names(stage, names) | {'data_preprocessor.mean', 'data_preprocessor.std'}
    assert left == own
    finished = [block for module in BLOCKS[:stage] for block in module]
    ran = set()
    for name, there in seen:
        block = next((b for b in finished if name.startswith(f'backbone.encoder.{b}.')), None)
        lent_names = {n for n in names if block and n.startswith(f'backbone.encoder.{block}.')}
        lent_names = {n for n in lent_names if not n.endswith('num_batches_tracked')}
        assert there == own | lent_names
        ran |= {block} if block else owned_names(stage, [f'{name}.weight'])
    assert ran >= {*finished, *(n for n in owned_names(stage, names) if n.endswith('conv1.weight'))}
