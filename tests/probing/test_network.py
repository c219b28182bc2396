import pytest
import torch

from infopro_seg.errors import CheckpointError, ConfigError, UserError
from infopro_seg.probing.network import FrozenEncoder, choose_blocks
from tests.probing.networks import config_for, frozen, save
from tests.runs import load
from tests.stand_ins import MEAN, STD, assert_same, build, encoder_config, make_batch, model_config

NAMES = [
    'stem',
    'layer1.0',
    'layer1.1',
    'layer2.0',
    'layer2.1',
    'layer3.0',
    'layer3.1',
    'layer4.0',
    'layer4.1',
]
PREPROCESSOR = model_config()['data_preprocessor']


def test_features_are_those_of_the_stock_encoder_in_test_mode(tmp_path):
    network = frozen(tmp_path)
    inputs = network.prepare(make_batch(), True)[0]
    stock = build(model_config(), double=False).backbone.encoder
    stock.eval()
    with torch.no_grad():
        stem = stock.maxpool(stock.stem(inputs))
        second = stock.layer2(stock.layer1(stem))
        expected = [('stem', stem), ('layer2.1', second), ('layer3.1', stock.layer3(second))]
    assert network.names == NAMES
    actual = list(network.features(inputs, {'layer3.1', 'stem', 'layer2.1'}))
    assert [name for name, _ in actual] == [name for name, _ in expected]
    for (_, ours), (_, theirs) in zip(actual, expected, strict=True):
        assert_same(ours, theirs)
        assert not ours.requires_grad
    assert network.channels(['stem', 'layer3.1']) == {'stem': 8, 'layer3.1': 32}


def test_what_comes_after_the_last_chosen_block_is_not_run(tmp_path):
    network = frozen(tmp_path)
    network.encoder.layer3[1].register_forward_pre_hook(lambda *_: pytest.fail('ran'))
    inputs = network.prepare(make_batch(), True)[0]
    assert [name for name, _ in network.features(inputs, ['layer3.0'])] == ['layer3.0']


def test_images_are_normalised(tmp_path):
    batch = make_batch()
    inputs, samples = frozen(tmp_path).prepare(batch, True)
    rgb = torch.stack(batch['inputs']).flip(1).float()
    assert_same(inputs, (rgb - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
    assert len(samples) == 2


def test_cuts_normalisation_and_dilation_are_the_checkpoint_s_own(tmp_path):
    """The sizes of the data are the config's."""
    trained = model_config(('layer1.0', 'layer2.1'), encoder=encoder_config(strides=(1, 2, 1, 1)))
    trained['data_preprocessor'] = {
        **PREPROCESSOR,
        'mean': (1.0, 2.0, 3.0),
        'bgr_to_rgb': False,
        'size': (8, 8),
    }
    network = FrozenEncoder(config_for(model_config()), save(tmp_path / 'a.pth', trained))
    assert network.cuts == ('layer1.0', 'layer2.1')
    inputs = network.prepare(make_batch(size=(16, 32)), True)[0]
    assert inputs.shape[2:] == PREPROCESSOR['size']
    batch = make_batch()
    bgr = torch.stack(batch['inputs']).float() - torch.tensor((1.0, 2.0, 3.0)).view(3, 1, 1)
    inputs = network.prepare(batch, True)[0]
    assert_same(inputs, bgr / torch.tensor(STD).view(3, 1, 1))
    [(_, feature)] = network.features(inputs, ['layer4.1'])
    assert feature.shape[2:] == (4, 8)  # an eighth, and not a thirty-second


def test_a_checkpoint_without_a_config_takes_that_of_the_command(tmp_path):
    whole = model_config(('layer1.0',))
    network = FrozenEncoder(config_for(whole), save(tmp_path / 'a.pth', model_config(()), meta=False))
    assert network.cuts == ('layer1.0',)


def test_the_fingerprint_tells_encoders_apart_and_leaves_the_rest_out(tmp_path):
    content = load(save(tmp_path / 'a.pth', model_config()))
    heads = [key for key in content['state_dict'] if key.startswith(('backbone.local_heads', 'decode_head'))]
    for key in heads:
        del content['state_dict'][key]
    torch.save(content, tmp_path / 'without_heads.pth')
    content['state_dict']['backbone.layer4.1.bn2.running_var'][3] += 1e-3
    torch.save(content, tmp_path / 'other.pth')
    first, twin, other = (
        FrozenEncoder(config_for(model_config()), tmp_path / name).fingerprint
        for name in ('a.pth', 'without_heads.pth', 'other.pth')
    )
    assert heads
    assert first == twin != other


@pytest.mark.parametrize(
    'encoder', [encoder_config(base_channels=4), encoder_config(depth=34)], ids=['width', 'depth']
)
def test_a_checkpoint_of_another_encoder_is_refused(tmp_path, encoder):
    path = save(tmp_path / 'other.pth', model_config((), encoder=encoder))
    with pytest.raises(CheckpointError, match=r'other\.pth is of another model'):
        FrozenEncoder(config_for(model_config()), path)


def test_a_file_without_an_encoder_is_refused(tmp_path):
    torch.save({'state_dict': {'decode_head.weight': torch.zeros(1)}}, tmp_path / 'head.pth')
    with pytest.raises(CheckpointError, match=r'head\.pth has no weights of an encoder \(backbone\.\*\)'):
        FrozenEncoder(config_for(model_config()), tmp_path / 'head.pth')
    with pytest.raises(CheckpointError, match=r'no checkpoint .*none\.pth'):
        FrozenEncoder(config_for(model_config()), tmp_path / 'none.pth')


def test_a_config_without_a_preprocessor_is_refused(tmp_path):
    model = {key: value for key, value in model_config().items() if key != 'data_preprocessor'}
    path = save(tmp_path / 'a.pth', model_config())
    with pytest.raises(ConfigError, match=r'no model\.data_preprocessor'):
        FrozenEncoder(config_for(model), path)


@pytest.mark.parametrize(
    ('wanted', 'expected'),
    [
        ((), 'abcde'),
        (('every:1',), 'abcde'),
        (('every:2',), 'ace'),
        (('every:3',), 'be'),
        (('every:9',), 'e'),
        (('d', 'b'), 'bd'),
        (('every:3', 'a', 'e'), 'abe'),
    ],
)
def test_blocks_are_chosen_in_the_order_of_the_network(wanted, expected):
    assert choose_blocks(list('abcde'), wanted) == list(expected)


@pytest.mark.parametrize(
    ('wanted', 'message'),
    [
        ('x', '--blocks x: the encoder has no such block; choose from a, b, or every:N'),
        ('every:0', "--blocks every:0: '0' is not a whole number of 1 or more; write e.g. every:2"),
        ('every:-1', "--blocks every:-1: '-1' is not a whole number"),
        ('every:', "--blocks every:: '' is not a whole number"),
    ],
)
def test_an_unknown_block_is_answered_with_the_list(wanted, message):
    with pytest.raises(UserError) as caught:
        choose_blocks(['a', 'b'], [wanted])
    assert message in str(caught.value)
