"""Every kind of head, neck and segmentor, against the stock network it is in mmseg."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmseg.models.decode_heads import point_head

from infopro_seg.errors import ConfigError
from infopro_seg.models.point_sample import point_sample
from tests.stand_ins import (
    CUTS,
    WIDTHS,
    assert_same,
    build,
    deeplabv3plus_config,
    encoder_config,
    gradients,
    head_config,
    load_stock,
    make_batch,
    model_config,
    preprocessed,
    stock_config,
    summed,
    upernet_config,
)

ALL = (0, 1, 2, 3)
FPN = {'type': 'FPN', 'out_channels': 6, 'num_outs': 4}
CASCADE = {'type': 'InfoProCascadeEncoderDecoder', 'num_stages': 2}
POINTS = {'num_points': 40, 'oversample_ratio': 3, 'importance_sample_ratio': 0.75}
REFINED = {'mode': 'whole', 'subdivision_steps': 2, 'subdivision_num_points': 30, 'scale_factor': 2}


def concatenated(in_index=ALL, **kwargs):
    own = {'type': 'FCNHead', 'num_convs': 1, 'concat_input': False, 'kernel_size': 1}
    return head_config(**own, in_index=in_index, input_transform='resize_concat', **kwargs)


def fpn_head():
    return head_config(type='FPNHead', in_index=ALL, feature_strides=(4, 8, 16, 32))


# what a config says of the heads; every in_channels is left out
NETWORKS = {
    'FCN, resize_concat': {'decode_head': concatenated()},
    'FCN, resize_concat of two': {'decode_head': concatenated((1, 3))},
    'DeepLabV3': {'decode_head': head_config(type='ASPPHead', in_index=3, dilations=(1, 2))},
    'DeepLabV3+': {'decode_head': deeplabv3plus_config()},
    'PSPNet': {'decode_head': head_config(type='PSPHead', in_index=3, pool_scales=(1, 2))},
    'UPerNet': {'decode_head': upernet_config()},
    'SegFormer': {
        'decode_head': head_config(type='SegformerHead', in_index=list(ALL)),
        'auxiliary_head': None,
    },
    'FPN': {'neck': FPN, 'decode_head': fpn_head(), 'auxiliary_head': None},
    'FPN with an auxiliary head': {
        'neck': FPN,
        'decode_head': fpn_head(),
        'auxiliary_head': head_config(0.4, in_index=-1),
    },
    'three auxiliary heads': {
        'decode_head': head_config(in_index=3),
        'auxiliary_head': [
            head_config(0.4, in_index=2),
            concatenated((0, 3), weight=0.2),
            head_config(0.3, in_index=3, type='PSPHead', pool_scales=(1, 2)),
        ],
    },
    'OCRNet': {
        **CASCADE,
        'decode_head': [
            concatenated(weight=0.4),
            ocr := concatenated() | {'type': 'OCRHead', 'ocr_channels': 4},
        ],
    },
    'OCRNet with an auxiliary head': {
        **CASCADE,
        'decode_head': [
            head_config(0.4, in_index=3),
            {**head_config(type='OCRHead', in_index=3), 'ocr_channels': 4},
        ],
        'auxiliary_head': head_config(0.4, in_index=2),
    },
    'PointRend': {
        **CASCADE,
        'neck': FPN,
        'decode_head': [
            fpn_head(),
            head_config(type='PointHead', in_index=[0], num_fcs=2) | {'norm_cfg': None},
        ],
        'auxiliary_head': None,
        'train_cfg': POINTS,
        'test_cfg': REFINED,
    },
}
for key in ('num_convs', 'concat_input', 'kernel_size'):
    del ocr[key]


def pair(name, cuts):
    """The network in local modules, and the stock one with the same weights."""
    config = model_config(cuts, **({'auxiliary_head': None} | NETWORKS[name]))
    stock_like = stock_config(config, WIDTHS)
    if 'neck' in config:
        stock_like = stock_config(config, (6,) * 4)
        stock_like['neck'] = FPN | {'in_channels': list(WIDTHS)}
    stock, model = build(stock_like), build(config, seed=1)
    load_stock(model, stock)
    return model, stock


def losses_of(parts):
    """Runs backward on each part before it asks for the next, and returns the losses of all."""
    torch.manual_seed(7)  # PointRend draws points, where its losses are computed
    found = {}
    for part in parts:
        found |= {name: value.detach() for name, value in part.items()}
        summed(part).backward()
    return found


@pytest.mark.parametrize('name', NETWORKS)
def test_without_cuts_a_network_is_the_stock_one(name):
    model, stock = pair(name, ())
    batch = make_batch()
    assert type(stock).__name__ == type(model).__name__.removeprefix('InfoPro')
    assert list(model.state_dict()) == list(stock.state_dict())
    expected = losses_of(stock.loss(*preprocessed(stock, batch)) for _ in range(1))
    assert_same(losses_of(model.local_losses(*preprocessed(model, batch))), expected)
    assert_same(gradients(model), gradients(stock))
    assert_same(dict(model.state_dict()), dict(stock.state_dict()))
    assert_same(*(predictions(network) for network in (model, stock)))


@pytest.mark.parametrize('name', NETWORKS)
def test_with_cuts_the_last_module_trains_as_in_the_stock_network(name):
    """The stock losses, and the stock gradients of all that lies behind the last cut; the rest is local."""
    model, stock = pair(name, CUTS)
    twin, batch = deepcopy(model), make_batch()
    losses = losses_of(stock.loss(*preprocessed(stock, batch)) for _ in range(1))
    torch.manual_seed(7)
    *early, last = model.local_losses(*preprocessed(model, batch))
    assert_same(losses_of([last]), losses)
    behind = ('backbone.layer4.', 'neck.', 'decode_head.', 'auxiliary_head.')
    expected = {key: value for key, value in gradients(stock).items() if key.startswith(behind)}
    assert_same(gradients(model), expected, rtol=1e-9, atol=1e-12)
    [summed(part).backward() for part in early]
    trainable = {name.replace('.encoder.', '.') for name, _ in model.named_parameters()}
    assert gradients(model).keys() == trainable

    torch.manual_seed(7)
    merged = twin.loss(*preprocessed(twin, batch))
    summed(merged).backward()
    assert merged.keys() >= losses.keys()
    if 'PointRend' not in name:  # its points are drawn once more
        assert_same(gradients(twin), gradients(model), rtol=1e-9, atol=1e-12)
    assert_same(*(predictions(network) for network in (model, stock)))


@pytest.mark.parametrize('name', NETWORKS)
def test_a_train_step_moves_every_parameter(name):
    model, _ = pair(name, CUTS)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    optim_wrapper = OptimWrapper(torch.optim.AdamW(model.parameters(), lr=0.1))
    model.train_step(make_batch(), optim_wrapper)
    assert [key for key, value in model.named_parameters() if torch.equal(value, before[key])] == []


def predictions(network):
    network.eval()
    network.test_cfg.return_logits = True
    return [result.seg_logits.data.half() for result in network.test_step(make_batch(2, seed=5))]


def test_channels_behind_a_neck_are_those_that_the_neck_returns():
    neck = FPN | {'out_channels': 10, 'num_outs': 5}
    head = head_config(type='UPerHead', in_index=(0, 4), pool_scales=(1, 2))
    model = build(model_config(CUTS, neck=neck, decode_head=head, auxiliary_head=None))
    assert [convolution.in_channels for convolution in (c.conv for c in model.neck.lateral_convs)] == [
        *WIDTHS
    ]
    assert model.decode_head.in_channels == [10, 10]
    assert model.neck.training


def test_pretrained_of_a_stock_config_is_the_encoder_s():
    config = model_config(CUTS, pretrained='weights.pth')
    model = build(config)
    assert model.backbone.encoder.init_cfg == {'type': 'Pretrained', 'checkpoint': 'weights.pth'}
    given = encoder_config(init_cfg={'type': 'Kaiming', 'layer': 'Conv2d'})
    with pytest.raises(ConfigError, match='both name its weights'):  # as in mmseg
        build(model_config(CUTS, encoder=given, pretrained='weights.pth'))


@pytest.mark.parametrize('align_corners', [False, True])
def test_points_are_sampled_where_a_resize_samples(align_corners):
    """An independent oracle: resizing reads the same values at the centres of the new pixels."""
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    height, width = 8, 15
    resized = F.interpolate(maps, (height, width), mode='bilinear', align_corners=align_corners)
    if align_corners:
        ys, xs = torch.linspace(0, 1, height).double(), torch.linspace(0, 1, width).double()
    else:
        ys, xs = (torch.arange(height) + 0.5).double() / height, (torch.arange(width) + 0.5).double() / width
    grid = (
        torch.stack(torch.meshgrid(ys, xs, indexing='ij')[::-1], dim=-1).reshape(1, -1, 2).expand(2, -1, -1)
    )
    border = {} if align_corners else {'padding_mode': 'border'}
    sampled = point_sample(maps, grid, align_corners=align_corners, **border)
    assert_same(sampled.reshape(2, 3, height, width), resized, rtol=1e-6, atol=1e-6)
    assert point_head.point_sample is not None
