from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData

from infopro_seg.probing.probes import PixelProbe, build_probe
from infopro_seg.probing.run import evaluate_probes, fit_probes, spread
from infopro_seg.probing.tasks import PixelTask
from tests.probing.networks import frozen, patches
from tests.stand_ins import CLASSES, MEAN, SIZE, STD, assert_same, build, jitter, make_batch, model_config

BLOCKS = ('layer1.1', 'layer3.0', 'layer4.1')


def make_probes(network, blocks=BLOCKS, classes=CLASSES):
    return {
        name: build_probe(PixelProbe, name, channels, classes, 0)
        for name, channels in network.channels(blocks).items()
    }


def batches(count):
    return [make_batch(2, seed) for seed in range(count)]


@pytest.fixture
def network(tmp_path):
    return frozen(tmp_path)


def test_a_block_s_probe_learns_from_its_features_the_image_and_the_labels(network):
    """Against features of the stock encoder, and torch's Adam with a cosine."""
    [name], steps = ['layer2.1'], 2
    stock = build(model_config(), double=False).backbone.encoder
    stock.eval()
    data = []
    for batch in batches(steps):
        rgb = torch.stack(batch['inputs']).flip(1)
        inputs = (rgb.float() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        with torch.no_grad():
            feature = stock.layer2(stock.layer1(stock.maxpool(stock.stem(inputs))))
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in batch['data_samples']])
        data.append((feature, rgb / 255, labels))
    ours = make_probes(network, [name])
    theirs = deepcopy(ours[name]).train()
    optimizer = torch.optim.Adam(theirs.parameters())
    for step, (feature, image, labels) in enumerate(data):
        optimizer.param_groups[0]['lr'] = 0.02 * (1 + np.cos(np.pi * step / steps)) / 2
        optimizer.zero_grad()
        theirs.loss(feature, image, labels).backward()
        optimizer.step()
    fit_probes(network, PixelTask(), ours, batches(steps), steps, lr=0.02)
    assert_same(ours[name].state_dict(), theirs.state_dict(), rtol=1e-4, atol=1e-5)


def test_the_network_is_left_as_it_was(network, tmp_path):
    twin = frozen(tmp_path)
    probes = make_probes(network)
    fit_probes(network, PixelTask(), probes, batches(2), 2)
    evaluate_probes(network, PixelTask(), probes, batches(2), CLASSES)
    assert_same(network.encoder.state_dict(), twin.encoder.state_dict())
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert not any(module.training for module in network.encoder.modules())


def test_results_do_not_depend_on_which_blocks_are_chosen_together(network):
    together, alone = make_probes(network), make_probes(network, ['layer3.0'])
    findings = []
    for probes in (together, alone):
        torch.rand(len(probes))
        fit_probes(network, PixelTask(), probes, batches(3), 3)
        findings.append(evaluate_probes(network, PixelTask(), probes, batches(2), CLASSES, [1]))
    assert_same(together['layer3.0'].state_dict(), alone['layer3.0'].state_dict())
    assert findings[0].blocks['layer3.0'] == findings[1].blocks['layer3.0']
    assert np.array_equal(*(found.reconstructions['layer3.0'][0] for found in findings))


def test_no_more_batches_are_drawn_than_iterations(network):
    drawn = iter(batches(3))
    fit_probes(network, PixelTask(), make_probes(network, ['stem']), drawn, 2)
    assert len(list(drawn)) == 1


def test_scores_are_those_of_images_without_their_padding(tmp_path):
    """Labels of another size than the images get logits of their size, as in mmseg's evaluation."""
    model = model_config()
    model['data_preprocessor']['test_cfg'] = {'size_divisor': 32}
    network = frozen(tmp_path, model)
    probes = {name: jitter(probe) for name, probe in make_probes(network).items()}
    loader = [make_batch(2, 0, (24, 40)), make_batch(1, 1, (30, 64))]
    for sample in loader[0]['data_samples']:
        finer = sample.gt_sem_seg.data.repeat_interleave(2, 1).repeat_interleave(2, 2)
        sample.gt_sem_seg = PixelData(data=finer)
    found = evaluate_probes(network, PixelTask(), probes, deepcopy(loader), CLASSES, [0, 2])
    assert [picture.shape for picture in found.images] == [(24, 40, 3), (30, 64, 3)]
    first = loader[0]['inputs'][0].numpy().transpose(1, 2, 0)[..., ::-1]
    assert np.abs(found.images[0].astype(int) - first).max() <= 1
    for name, probe in probes.items():
        squares, matrices = [], {kind: np.zeros((CLASSES, CLASSES)) for kind in ('linear', 'mlp')}
        for batch in loader:
            inputs, _ = network.prepare(deepcopy(batch), False)
            [(_, feature)] = network.features(inputs, [name])
            with torch.no_grad():
                logits = probe.eval()(feature, tuple(inputs.shape[2:]))
            for index, (image, sample) in enumerate(zip(batch['inputs'], batch['data_samples'], strict=True)):
                height, width = image.shape[1:]
                decoded = logits['image'][index, :, :height, :width].sigmoid().numpy()
                squares.append(((decoded - image.flip(0).numpy() / 255) ** 2).ravel())
                labels = sample.gt_sem_seg.data[0]
                for kind, matrix in matrices.items():
                    cropped = logits[kind][index : index + 1, :, :height, :width]
                    predicted = F.interpolate(cropped, labels.shape, mode='bilinear').argmax(1)[0]
                    known = labels != 255
                    np.add.at(matrix, (labels[known].numpy(), predicted[known].numpy()), 1)
        assert found.blocks[name]['mse'] == pytest.approx(np.concatenate(squares).mean(), rel=1e-5)
        for kind, matrix in matrices.items():
            hits = np.diag(matrix)
            iou = hits / (matrix.sum(0) + matrix.sum(1) - hits)
            assert found.blocks[name][kind]['mIoU'] == pytest.approx(iou.mean())
            assert found.blocks[name][kind]['accuracy'] == pytest.approx(hits.sum() / matrix.sum())


def test_pictures_are_the_decoders_view_of_the_images_asked_for(network):
    probes = {name: jitter(probe) for name, probe in make_probes(network).items()}
    loader = batches(2)
    found = evaluate_probes(network, PixelTask(), probes, deepcopy(loader), CLASSES, [1, 2])
    inputs = torch.cat([network.prepare(batch, False)[0] for batch in loader])[1:3]
    for name, feature in network.features(inputs, BLOCKS):
        with torch.no_grad():
            views = probes[name].eval()(feature, SIZE)['image'].sigmoid()
        assert len(found.reconstructions[name]) == 2
        for picture, view in zip(found.reconstructions[name], views, strict=True):
            assert np.abs(picture - view.permute(1, 2, 0).numpy() * 255).max() <= 0.51


def test_what_a_network_forgets_cannot_be_read_after_it(tmp_path):
    """Image and classes before, and no more than the best constant from there on."""
    model = model_config((), encoder={'type': 'ForgetfulEncoder'})
    model['decode_head'] |= {'in_index': 0}
    model['auxiliary_head'] = None
    network = frozen(tmp_path, model)
    assert network.names == ['keep', 'lose', 'after']
    probes = make_probes(network, network.names, classes=2)
    fit_probes(network, PixelTask(), probes, [patches(4, seed) for seed in range(50)], 50, lr=0.03)
    validation = [patches(4, seed) for seed in range(1000, 1006)]
    found = evaluate_probes(network, PixelTask(), probes, deepcopy(validation), 2)
    images = torch.cat([torch.stack(batch['inputs']) for batch in validation]).double() / 255
    variance = images.var((0, 2, 3), unbiased=False).mean().item()
    labels = torch.cat([sample.gt_sem_seg.data for batch in validation for sample in batch['data_samples']])
    share = ((labels == 0).sum() / (labels != 255).sum()).item()
    known = found.blocks['keep']
    assert known['mse'] < variance / 3
    assert min(known['linear']['mIoU'], known['mlp']['mIoU']) > 0.8
    for name in ('lose', 'after'):
        forgotten = found.blocks[name]
        assert 0.98 * variance < forgotten['mse'] < 1.15 * variance
        for kind in ('linear', 'mlp'):
            assert forgotten[kind]['mIoU'] == pytest.approx(share / 2)
            assert forgotten[kind]['accuracy'] == pytest.approx(share)


@pytest.mark.parametrize(
    ('count', 'length', 'expected'), [(2, 9, [0, 8]), (3, 9, [0, 4, 8]), (2, 1, [0]), (3, 2, [0, 1])]
)
def test_images_are_spread_over_the_data_set(count, length, expected):
    assert spread(count, length) == expected
