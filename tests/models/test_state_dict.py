import pickle
from copy import deepcopy

import pytest
import torch
from mmengine.runner import load_checkpoint, save_checkpoint
from mmengine.runner.checkpoint import get_state_dict

from infopro_seg.errors import CheckpointError
from infopro_seg.models import InfoProBackbone
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    encoder_config,
    local_head_config,
    make_batch,
    model_config,
    preprocessed,
    stock_config,
)

LOCAL = 'backbone.local_heads.'


@pytest.fixture
def model():
    return build(model_config(CUTS), double=False)


@pytest.fixture
def stock():
    return build(stock_config(model_config(CUTS)), seed=1, double=False)


@pytest.mark.parametrize('save', [lambda m: m.state_dict(), get_state_dict], ids=['torch', 'mmengine'])
def test_keys_and_their_order_are_the_stock_ones_and_the_local_heads(model, stock, save):
    keys = list(save(model))
    assert [key for key in keys if not key.startswith(LOCAL)] == list(stock.state_dict())
    assert {key.split('.')[2] for key in keys if key.startswith(LOCAL)} == {'0', '1'}
    assert len([key for key in keys if key.startswith(LOCAL)]) == len(model.backbone.local_heads.state_dict())


def test_values_are_those_of_the_parameters_and_buffers(model):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for key, value in model.state_dict().items():
        name = key if key.startswith(LOCAL) else key.replace('backbone.', 'backbone.encoder.')
        assert value.data_ptr() == tensors[name].data_ptr()


def test_metadata_carries_the_version_of_each_module_under_its_stock_path(model, stock):
    actual, expected = model.state_dict()._metadata, stock.state_dict()._metadata
    assert {key: value for key, value in actual.items() if not key.startswith(LOCAL[:-1])} == expected
    assert actual['backbone.layer1.0.bn1'] == {'version': 2}
    assert actual['backbone.local_heads.0.auxiliary_head.convs.0.bn'] == {'version': 2}


@pytest.mark.parametrize('prefix', ['', 'module.', 'a.b.'])
def test_the_backbone_alone_has_the_encoder_s_keys_under_any_prefix(prefix):
    backbone = InfoProBackbone(encoder_config(), CUTS, local_head_config())
    keys = [key for key in backbone.state_dict(prefix=prefix) if 'local_heads' not in key]
    assert keys == [prefix + key for key in backbone.encoder.state_dict()]


def test_what_was_saved_loads_strictly_into_another_model(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    other = build(model_config(CUTS), seed=5, double=False)
    saved = torch.load(tmp_path / 'weights.pth', weights_only=True)
    keys = list(saved)
    assert other.load_state_dict(saved) == ([], [])
    assert_same(dict(other.named_parameters()), dict(model.named_parameters()))
    assert_same(dict(other.named_buffers()), dict(model.named_buffers()))
    assert list(saved) == keys  # loading leaves the user's dict as it was


def test_a_stock_state_dict_loads_and_lacks_the_local_heads_only(model, stock):
    before = deepcopy(dict(model.backbone.local_heads.state_dict()))
    missing, unexpected = model.load_state_dict(stock.state_dict(), strict=False)
    assert unexpected == []
    counters = '.num_batches_tracked'  # BN adds them itself to a checkpoint that knows no version of it
    local = [key for key in model.state_dict() if key.startswith(LOCAL) and not key.endswith(counters)]
    assert sorted(missing) == sorted(local)
    theirs = stock.state_dict()
    assert_same({key: value for key, value in model.state_dict().items() if key in theirs}, dict(theirs))
    assert_same(dict(model.backbone.local_heads.state_dict()), before)


def test_a_stock_checkpoint_file_loads_through_mmengine(model, stock, tmp_path):
    path = str(tmp_path / 'stock.pth')
    save_checkpoint({'state_dict': stock.state_dict(), 'meta': {}}, path)
    load_checkpoint(model, path)
    stock.eval(), model.eval()
    inputs = preprocessed(stock, make_batch())[0]
    assert_same(model(inputs), stock(inputs))


def test_an_encoder_checkpoint_loads_into_the_encoder_through_its_init_cfg(stock, tmp_path):
    path = str(tmp_path / 'encoder.pth')
    save_checkpoint({'state_dict': stock.backbone.state_dict()}, path)
    encoder = encoder_config(init_cfg={'type': 'Pretrained', 'checkpoint': path})
    model = build(model_config(CUTS, encoder=encoder), double=False)
    model.init_weights()
    assert_same(dict(model.backbone.encoder.state_dict()), dict(stock.backbone.state_dict()))


def test_pretrained_weights_that_cannot_be_loaded_are_named_with_the_remedy():
    encoder = encoder_config(init_cfg={'type': 'Pretrained', 'checkpoint': 'nowhere/resnet.pth'})
    with pytest.raises(CheckpointError) as caught:
        build(model_config(CUTS, encoder=encoder)).init_weights()
    for word in ('pretrained', 'nowhere/resnet.pth', 'encoder', 'FileNotFoundError', 'give a local file'):
        assert word in str(caught.value)


def test_without_its_local_heads_it_loads_strictly_into_stock_mmseg_with_equal_logits(model, stock, tmp_path):
    path = str(tmp_path / 'plain.pth')
    plain = {key: value for key, value in model.state_dict().items() if not key.startswith(LOCAL)}
    save_checkpoint({'state_dict': plain}, path)
    load_checkpoint(stock, path, strict=True)
    stock.eval(), model.eval()
    inputs = preprocessed(stock, make_batch())[0]
    assert_same(stock(inputs), model(inputs))


def test_a_missing_and_an_unexpected_key_are_reported(model):
    state = model.state_dict()
    del state['backbone.layer1.0.conv1.weight']
    state['backbone.nowhere.weight'] = torch.zeros(1)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert [key.replace('.encoder.', '.') for key in missing] == ['backbone.layer1.0.conv1.weight']
    assert [key.replace('.encoder.', '.') for key in unexpected] == ['backbone.nowhere.weight']


@pytest.mark.parametrize(
    'copy', [deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=['deepcopy', 'pickle']
)
def test_copies_save_and_load_under_the_same_keys(model, copy):
    twin = copy(model)
    assert_same(dict(twin.state_dict()), dict(model.state_dict()))
    other = build(model_config(CUTS), seed=5, double=False)
    assert twin.load_state_dict(other.state_dict()) == ([], [])
    assert_same(dict(twin.named_parameters()), dict(other.named_parameters()))
