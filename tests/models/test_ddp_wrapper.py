"""The distributed wrapper in one process."""

import socket
from copy import deepcopy

import pytest
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.ddp import LocalDistributedDataParallel
from tests.models.test_ddp import Case, make_optimizer, trained
from tests.stand_ins import assert_same, build, make_batch, model_config, settle


@pytest.mark.parametrize('option', ['find_unused_parameters', 'static_graph'])
def test_options_that_read_the_graph_of_the_forward_pass_are_refused(option):
    with pytest.raises(ConfigError) as caught:
        LocalDistributedDataParallel(nn.Linear(1, 1), **{option: True})
    for word in (f'{option}=True', 'local losses', f'remove {option} from the config'):
        assert word in str(caught.value)


@pytest.fixture
def one_process():
    with socket.socket() as probe:
        probe.bind(('localhost', 0))
        port = probe.getsockname()[1]
    dist.init_process_group('gloo', init_method=f'tcp://localhost:{port}', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures('one_process')
def test_the_wrapper_is_mmengine_s_with_buffers_of_each_rank_its_own():
    options = {'find_unused_parameters': False, 'static_graph': False}
    ddp = LocalDistributedDataParallel(build(model_config()), device_ids=[0], **options)
    assert isinstance(ddp, MMDistributedDataParallel)
    assert not ddp.broadcast_buffers
    assert ddp.device_ids is None  # the model is on the CPU
    assert LocalDistributedDataParallel(build(model_config()), broadcast_buffers=True).broadcast_buffers


@pytest.mark.usefixtures('one_process')
def test_overlapping_modules_keep_the_buffers_of_each_rank():
    config = model_config()
    config['backbone']['overlap'] = 1
    model = build(config, double=False)
    assert not LocalDistributedDataParallel(model).broadcast_buffers
    with pytest.raises(ConfigError, match='broadcast_buffers=True does not work with overlap=1'):
        LocalDistributedDataParallel(model, broadcast_buffers=True)


@pytest.mark.usefixtures('one_process')
def test_testing_through_the_wrapper_is_testing_the_model():
    model = build(model_config() | {'test_cfg': {'return_logits': True}}, double=False)
    model.eval()
    twin = deepcopy(model)
    actual = LocalDistributedDataParallel(model).test_step(make_batch())
    for ours, theirs in zip(actual, twin.test_step(make_batch()), strict=True):
        assert_same(ours.seg_logits.data, theirs.seg_logits.data)


@pytest.mark.usefixtures('one_process')
@pytest.mark.parametrize('stage', [0, 1])
def test_what_lives_elsewhere_takes_no_part(stage):
    """Later modules of a stage are on another device, here `meta`: neither DDP nor the step touches them."""
    model, twin = (settle(build(Case(stage=stage).config())) for _ in range(2))
    names = ['backbone.encoder.layer4', 'decode_head', 'auxiliary_head']
    names += ['backbone.encoder.layer3', 'backbone.local_heads.1'] if stage == 0 else []
    for name in names:
        for module in model.get_submodule(name).modules():
            for store in (module._parameters, module._buffers):
                for key, tensor in store.items():
                    store[key] = None if tensor is None else nn.Parameter(tensor.detach().to('meta'), False)
    ddp = LocalDistributedDataParallel(model)
    assert not any(p.is_meta for p in ddp._module_parameters)
    ours, theirs = (OptimWrapper(make_optimizer(m.parameters())) for m in (model, twin))
    assert_same(ddp.train_step(make_batch(), ours), twin.train_step(make_batch(), theirs))
    for name, parameter in trained(twin).items():
        assert_same(model.get_parameter(name), parameter)
