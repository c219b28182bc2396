from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from infopro_seg.errors import ConfigError
from infopro_seg.models import InfoProHead
from infopro_seg.models.local_heads.local_head import build_local_heads, head_configs, interpolate
from tests.stand_ins import assert_same, head_config, jitter, local_head_config, make_batch

RECON, TASK = 0.7, 0.3


def with_convs(num_convs):
    config = local_head_config()
    config['auxiliary_head']['num_convs'] = num_convs
    return config


def make_head(*parts):
    config = local_head_config(RECON, TASK)
    return jitter(MODELS.build({key: config[key] for key in ('type', *parts)} | {'in_channels': 5})).double()


def losses_of(head):
    feature = torch.randn(2, 5, 8, 16, dtype=torch.double, requires_grad=True)
    image = torch.rand(2, 3, 32, 64, dtype=torch.double)
    samples = make_batch()['data_samples']
    losses = head.loss(feature, image, samples)
    expected = {}
    if head.decoder is not None:
        logits = head.decoder(feature, (32, 64))
        expected['loss_recon'] = RECON * F.binary_cross_entropy(logits.sigmoid(), image)
    if head.auxiliary_head is not None:
        logits = head.auxiliary_head([feature])
        logits = F.interpolate(logits, (32, 64), mode='bilinear')
        labels = torch.cat([sample.gt_sem_seg.data for sample in samples])
        picked = logits.log_softmax(1).gather(1, labels.where(labels != 255, 0)[:, None])[:, 0]
        expected['loss_ce'] = -TASK * (picked * (labels != 255)).mean()
        right = logits.argmax(1)[labels != 255] == labels[labels != 255]
        expected['acc_seg'] = 100 * right.float().mean().reshape(1)
    return feature, losses, expected


@pytest.mark.parametrize(
    'parts',
    [('decoder', 'auxiliary_head'), ('decoder',), ('auxiliary_head',)],
    ids=['InfoPro', 'reconstruction only', 'greedy'],
)
def test_the_losses_are_the_weighted_reconstruction_and_task_losses(parts):
    feature, losses, expected = losses_of(make_head(*parts))
    assert_same(losses, expected, rtol=1e-6, atol=1e-8)
    for name in losses.keys() - {'acc_seg'}:
        ours, theirs = (
            torch.autograd.grad(of[name], feature, retain_graph=True) for of in (losses, expected)
        )
        assert_same(ours, theirs, rtol=1e-6, atol=1e-9)


def test_the_auxiliary_head_is_as_wide_as_its_feature_map_unless_told():
    auxiliary_head = head_config()
    assert InfoProHead(5, auxiliary_head).auxiliary_head.channels == 6
    del auxiliary_head['channels']
    assert InfoProHead(5, auxiliary_head).auxiliary_head.channels == 5


def test_an_auxiliary_head_that_reads_another_index_elsewhere_reads_its_only_feature_map_here():
    given = head_config(in_index=2, in_channels=1024)
    auxiliary_head = InfoProHead(5, given).auxiliary_head
    assert (auxiliary_head.in_index, auxiliary_head.in_channels) == (0, 5)
    feature = torch.randn(2, 5, 8, 16)
    assert_same(auxiliary_head([feature]), auxiliary_head.cls_seg(auxiliary_head.convs(feature)))


def test_a_head_without_anything_to_train_its_module_is_refused():
    with pytest.raises(ConfigError) as caught:
        InfoProHead(5)
    for word in ('neither decoder nor auxiliary_head', 'nothing would train', 'give at least one'):
        assert word in str(caught.value)


def test_reconstructions_are_the_sigmoid_of_the_decoded_logits():
    feature = torch.randn(2, 5, 8, 16, dtype=torch.double)
    head = make_head('decoder')
    image = head.reconstruct(feature, (16, 32))
    assert_same(image, 1 / (1 + (-head.decoder(feature, (16, 32)).float()).exp()), rtol=1e-5, atol=1e-6)
    assert make_head('auxiliary_head').reconstruct(feature, (16, 32)) is None


@pytest.mark.parametrize(
    ('heads', 'recon', 'task'),
    [
        (1, [2.0], [1.0]),
        (2, [2.0, 0.5], [1.0, 0.0]),
        (5, [2.0, 1.625, 1.25, 0.875, 0.5], [1.0, 0.75, 0.5, 0.25, 0.0]),
    ],
)
def test_weights_run_linearly_from_the_first_local_module_to_the_last(heads, recon, task):
    config = local_head_config((2.0, 0.5), [1.0, 0.0])
    given = deepcopy(config)
    built = build_local_heads(config, range(3, 3 + heads), [f'cut{i}' for i in range(heads)])
    assert [head.decoder.loss_recon.loss_weight for head in built] == pytest.approx(recon)
    assert [head.auxiliary_head.loss_decode.loss_weight for head in built] == pytest.approx(task)
    assert [head.auxiliary_head.in_channels for head in built] == list(range(3, 3 + heads))
    assert config == given  # not changed in place


@pytest.mark.parametrize(
    ('pair', 'depths'),
    [
        ((3, 1), {1: [3], 2: [3, 1], 3: [3, 2, 1], 4: [3, 2, 2, 1]}),  # 7/3 and 5/3
        ([4, 1], {3: [4, 2, 1]}),  # 5/2, a half, goes to the even neighbour
        ((1, 2), {3: [1, 2, 2]}),
        ((4, 1, 1), {1: [4], 2: [4, 1], 3: [4, 1, 1], 4: [4, 2, 1, 1], 5: [4, 2, 1, 1, 1]}),
        (2, {3: [2, 2, 2]}),
    ],
    ids=str,
)
def test_auxiliary_heads_are_as_deep_as_the_line_from_the_first_to_the_last(pair, depths):
    config = with_convs(pair)
    config['auxiliary_head']['loss_decode']['loss_weight'] = (1.0, 0.0)
    given = deepcopy(config)
    for heads, expected in depths.items():
        built = build_local_heads(config, [4] * heads, [f'cut{i}' for i in range(heads)])
        assert [len(head.auxiliary_head.convs) for head in built] == expected
        assert built[-1].auxiliary_head.loss_decode.loss_weight == (1.0 if heads == 1 else 0.0)
    assert config == given


def test_a_list_gives_each_local_module_its_own_head():
    configs = [
        local_head_config(1.0, (4.0, 2.0)),
        {'type': 'InfoProHead', 'auxiliary_head': head_config((4.0, 2.0))},
    ]
    first, second = build_local_heads(configs, [3, 4], ['a', 'b'])
    assert first.auxiliary_head.loss_decode.loss_weight == 4.0
    assert second.auxiliary_head.loss_decode.loss_weight == 2.0
    assert first.decoder is not None
    assert second.decoder is None


def test_weights_are_found_at_any_nesting_and_nothing_else_is_touched():
    config = {'a': [{'loss_weight': (0, 10)}, {'loss_weight': 3.0}], 'scales': (1, 2), 'b': ({'c': None},)}
    expected = {'a': [{'loss_weight': 2.5}, {'loss_weight': 3.0}], 'scales': (1, 2), 'b': ({'c': None},)}
    assert interpolate(config, 0.25) == expected


@pytest.mark.parametrize('heads', [1, 2, 3, 4, 7, 50])
def test_weights_run_straight_from_each_listed_value_to_the_next(heads):
    values = (5.0, 1.5, 0.5, 1.0)
    built = head_configs({'loss_weight': values}, heads)
    expected = np.interp(np.linspace(0, 1, heads), np.linspace(0, 1, 4), values)
    assert [config['loss_weight'] for config in built] == pytest.approx(expected)


@pytest.mark.parametrize(
    ('modules', 'expected'),
    [(2, [7]), (3, [6, 1]), (4, [6, 3.5, 1]), (5, [6, 26 / 6, 16 / 6, 1]), (6, [2] * 5), (9, [2] * 8)],
)
def test_weights_may_depend_on_the_number_of_modules(modules, expected):
    """The nearest number counts: 3 and 5 take the values of 4, 6 those of 7."""
    built = head_configs({'loss_weight': {'k2': 7, 'k4': (6, 1), 'k7': 2}}, modules - 1)
    assert [config['loss_weight'] for config in built] == pytest.approx(expected)
    own = {'loss_weight': {'ce': 1.0, 'dice': 2.0}}  # of a head of the user's own
    assert head_configs(own, modules - 1) == [own] * (modules - 1)
    tied = head_configs({'num_convs': {'k2': 3, 'k8': 1}}, 4)  # K = 5 is as near to 2 as to 8
    assert [config['num_convs'] for config in tied] == [1] * 4


@pytest.mark.parametrize(
    ('config', 'cuts', 'words'),
    [
        (None, ['layer3.1'], ["('layer3.1',)", 'need local heads', 'give the backbone a local_head']),
        (
            [local_head_config()],
            ['a', 'b'],
            ['lists 1 heads', "2 cuts ('a', 'b')", 'one per cut', 'single one'],
        ),
        ([local_head_config()], [], ['lists 1 heads', '0 cuts']),
        (local_head_config(recon=()), ['a', 'b'], ['loss_weight=()', 'one number', '(first, last)']),
        (local_head_config(task=[1.0]), ['a'], ['loss_weight=[1.0]', '(first, last)']),
        (
            local_head_config(task={'k2': 1.0, 'k': 2.0}),
            ['a'],
            ["loss_weight={'k2': 1.0, 'k': 2.0}", "as in loss_weight={'k2': 5"],
        ),
        (with_convs((3,)), ['a', 'b'], ['num_convs=(3,)', 'one number', '(first, last)']),
        (with_convs((2.5, 1)), ['a', 'b'], ['num_convs=(2.5, 1)', 'whole number, 0 or more']),
        (with_convs((2, -1)), ['a', 'b'], ['num_convs=(2, -1)', 'whole number, 0 or more']),
    ],
    ids=[
        'none',
        'too few',
        'too many',
        'no weight',
        'one weight in a list',
        'by something else',
        'one depth in a tuple',
        'half a convolution',
        'negative depth',
    ],
)
def test_heads_that_do_not_fit_the_cuts_are_refused_with_the_remedy(config, cuts, words):
    with pytest.raises(ConfigError) as caught:
        build_local_heads(config, [4] * len(cuts), cuts)
    for word in words:
        assert word in str(caught.value)
