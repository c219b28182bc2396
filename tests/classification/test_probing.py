"""Probes of classifiers: what each depth knows of the image and of its class."""

import json

import pytest
import torch
import torch.nn.functional as F

from infopro_seg.config_files import load_config
from infopro_seg.probing.command import ProbeRequest, probe
from infopro_seg.probing.data import train_loader, val_loader
from infopro_seg.probing.network import FrozenEncoder
from infopro_seg.probing.probes import build_probe
from infopro_seg.probing.run import evaluate_probes, fit_probes
from infopro_seg.probing.whole_images import ImageProbe, ImageTask
from tests.classification.made import picture
from tests.classification.tiny import CLASSES, SIZE
from tests.stand_ins import MEAN, STD, jitter

BLOCKS = ('stem', 'layer2.0')


def normalised(feature):
    return F.batch_norm(feature, None, None, training=True)


def decoded(decoder, feature, size):
    """The paper's decoder of CIFAR images: upsampled, 3x3 to 12 channels, 3x3 to RGB."""
    first, last = decoder.convs
    hidden = F.interpolate(feature, size, mode='bilinear')
    hidden = F.conv2d(hidden, first.conv.weight, None, padding=1)
    hidden = F.batch_norm(hidden, None, None, first.bn.weight, first.bn.bias, training=True).relu()
    return F.conv2d(hidden, last.weight, last.bias, padding=1)


def read_off(probe, feature):
    """The logits of both classifiers in plain operations; the map is below 16 pixels, so no stride."""
    [linear] = probe.linear.linear
    hidden = feature
    for conv, norm in zip(probe.convs.convs[::3], probe.convs.convs[1::3], strict=True):
        hidden = F.conv2d(hidden, conv.weight, padding=1)
        hidden = F.batch_norm(hidden, None, None, norm.weight, norm.bias, training=True).relu()
    first, _, second = probe.convs.linear
    hidden = F.linear(hidden.mean((2, 3)), first.weight, first.bias).relu()
    return {
        'linear': F.linear(feature.mean((2, 3)), linear.weight, linear.bias),
        'convs': F.linear(hidden, second.weight, second.bias),
    }


def test_a_probe_decodes_the_image_and_classifies_it_by_its_pooled_map_and_by_two_convolutions():
    random = torch.Generator().manual_seed(0)
    probe = jitter(build_probe(ImageProbe, 'layer3.0', 5, CLASSES, 0).double()).train()
    feature = 5 + 3 * torch.randn(4, 5, 6, 6, generator=random).double()
    image = torch.rand(4, 3, 12, 12, generator=random).double()
    labels = torch.tensor([0, 2, 1, 2])
    x = normalised(feature)
    classifiers = read_off(probe, x)
    picture = decoded(probe.decoder, x, (12, 12)).sigmoid()
    expected = -(image * picture.log() + (1 - image) * (1 - picture).log()).mean()
    for logits in classifiers.values():
        expected = expected - logits.log_softmax(1)[torch.arange(4), labels].mean()
    torch.testing.assert_close(probe.loss(feature, image, labels), expected)


def test_scores_are_those_of_all_test_images(run):
    config = load_config(run / 'config.py')
    network = FrozenEncoder(config, run / 'run' / 'iter_4.pth')
    task = ImageTask()
    widths = network.channels(BLOCKS)
    probes = {name: build_probe(task.probe, name, widths[name], CLASSES, 0) for name in BLOCKS}
    fit_probes(network, task, probes, train_loader(config, 3, 0), 3)
    found = evaluate_probes(network, task, probes, val_loader(config), CLASSES)
    rgb = torch.stack([torch.from_numpy(picture(100 + i).transpose(2, 0, 1).copy()) for i in range(6)]).flip(
        1
    )
    inputs = (rgb.float() - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    labels = torch.arange(6) % CLASSES
    with torch.no_grad():
        features = dict(network.features(inputs, BLOCKS))
        for name, probe in probes.items():
            logits = probe(features[name], (SIZE, SIZE))
            row = found.blocks[name]
            error = (logits['image'].sigmoid() - rgb / 255).square().mean().item()
            assert row['mse'] == pytest.approx(error, rel=1e-4)
            for kind in ('linear', 'convs'):
                right = (logits[kind].argmax(1) == labels).double().mean().item()
                assert row[kind] == {'accuracy': pytest.approx(right)}
    assert found.ignorance['accuracy'] == pytest.approx(1 / 3)


def test_the_command_writes_tables_and_pictures(run, tmp_path):
    request = ProbeRequest(
        config=run / 'config.py',
        checkpoints=[run / 'run' / 'iter_4.pth'],
        out=tmp_path / 'probes',
        blocks=BLOCKS,
        iterations=2,
    )
    report = probe(request)
    assert report.subjects[0].cuts == ('layer1.0',)
    [written] = json.loads((tmp_path / 'probes' / 'results.json').read_text())['checkpoints']
    assert [row['block'] for row in written['blocks']] == list(BLOCKS)
    assert [row['depth'] for row in written['blocks']] == [1, 3]
    table = (tmp_path / 'probes' / 'table.md').read_text()
    accuracy = written['blocks'][1]['convs']['accuracy']
    assert 'Top-1 accuracy of the linear classifier' in table
    assert 'mIoU' not in table
    assert f'| `layer2.0` | {accuracy:.3f} |' in table.partition('with two convolutions')[2]
    assert (tmp_path / 'probes' / 'depth.png').is_file()
