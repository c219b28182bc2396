"""Binary segmentation with a single output channel and a sigmoid, as mmseg proposes it."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

from infopro_seg.evaluate import evaluate
from infopro_seg.export import export
from infopro_seg.inference import Predictor
from infopro_seg.predict import predict
from infopro_seg.visualization.panel import draw_panel
from tests.stand_ins import build, head_config, model_config, settle

THRESHOLD = 0.4
HEIGHT, WIDTH = 32, 64


def config_of(folder):
    loss = {'loss_decode': {'type': 'CrossEntropyLoss', 'use_sigmoid': True}}
    head = head_config(in_index=3, num_classes=2, out_channels=1, threshold=THRESHOLD) | loss
    model = model_config((), decode_head=head, auxiliary_head=None)
    steps = [{'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': 2}, {'type': 'PackSegInputs'}]
    flips = [{'type': 'RandomFlip', 'prob': prob} for prob in (0.0, 1.0)]
    tta = {'type': 'TestTimeAug', 'transforms': [flips, [steps[1]], [steps[2]]]}
    dataset = {
        'type': 'BaseSegDataset',
        'data_root': str(folder),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
        'metainfo': {'classes': ('ground', 'thing'), 'palette': [[0, 0, 0], [255, 0, 0]]},
        'pipeline': steps,
    }
    sampler = {'type': 'DefaultSampler', 'shuffle': False}
    return Config(
        {
            'model': model,
            'default_scope': 'mmseg',
            'custom_imports': {'imports': ['infopro_seg.register']},
            'test_dataloader': {'batch_size': 1, 'dataset': dataset, 'sampler': sampler},
            'test_evaluator': {'type': 'ClassIoUMetric', 'iou_metrics': ['mIoU']},
            'test_cfg': {'type': 'TestLoop'},
            'tta_model': {'type': 'SegTTAModel'},
            'tta_pipeline': [steps[0], tta],
            'log_level': 'ERROR',
        }
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Folder, config file, checkpoint and the network."""
    folder = tmp_path_factory.mktemp('binary')
    random = np.random.default_rng(0)
    for kind in ('images', 'masks'):
        (folder / kind).mkdir()
    for name in 'ab':
        image = random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(image).save(folder / 'images' / f'{name}.png')
        mask = random.integers(0, 2, (HEIGHT, WIDTH), dtype=np.uint8)
        Image.fromarray(mask).save(folder / 'masks' / f'{name}.png')
    config = config_of(folder)
    config.dump(folder / 'config.py')
    init_default_scope('mmseg')
    model = settle(build(config.model, double=False)).eval()
    with torch.no_grad():  # half of the first image is above the threshold
        model.decode_head.conv_seg.weight *= 9
        model.decode_head.conv_seg.bias -= network_logits(folder, model, 'a').median() - math.log(2 / 3)
    meta = {'cfg': config.pretty_text, 'dataset_meta': dict(config.test_dataloader.dataset.metainfo)}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'model.pth')
    return folder, folder / 'config.py', folder / 'model.pth', model


def network_logits(folder, model, name, flip=False):
    """The network's own logits at the size of the image."""
    image = np.array(Image.open(folder / 'images' / f'{name}.png'))
    image = np.ascontiguousarray(image[:, ::-1]) if flip else image
    prepared = model.data_preprocessor
    inputs = (torch.tensor(image).permute(2, 0, 1)[None].float() - prepared.mean) / prepared.std
    with torch.no_grad():
        return F.interpolate(model(inputs), size=(HEIGHT, WIDTH), mode='bilinear', align_corners=False)


def by_hand(folder, model, name, flip=False):
    found = network_logits(folder, model, name).sigmoid()
    if flip:
        found = (found + network_logits(folder, model, name, flip).sigmoid().flip(3)) / 2
    return (found > THRESHOLD)[0, 0].numpy()


@pytest.mark.parametrize('tta', [False, True], ids=['plain', 'flips'])
def test_it_is_evaluated_and_written(trained, tmp_path, tta):
    folder, config, checkpoint, model = trained
    results = evaluate(config, checkpoint, out=str(tmp_path / 'out'), work_dir=str(tmp_path / 'log'), tta=tta)
    overlaps, unions = np.zeros(2), np.zeros(2)
    for name in 'ab':
        written = np.array(Image.open(tmp_path / 'out' / f'{name}.png'))
        truth = np.array(Image.open(folder / 'masks' / f'{name}.png'))
        assert np.array_equal(written, by_hand(folder, model, name, flip=tta))
        for index in (0, 1):
            overlaps[index] += ((written == index) & (truth == index)).sum()
            unions[index] += ((written == index) | (truth == index)).sum()
    assert set(np.unique(written)) == {0, 1}
    assert list(results['IoU'].values()) == pytest.approx(list(overlaps / unions))


def test_it_is_predicted(trained, tmp_path):
    folder, config, checkpoint, model = trained
    assert predict(config, checkpoint, [folder / 'images'], tmp_path, 'cpu') == []
    labels = np.array(Image.open(tmp_path / 'a_labels.png'))
    assert np.array_equal(labels, by_hand(folder, model, 'a'))
    predictor = Predictor(Config.fromfile(config), checkpoint, 'cpu')
    both = predictor.predict([folder / 'images' / 'a.png', Image.open(folder / 'images' / 'b.png')])
    assert [found.dtype for found in both] == [np.uint8, np.uint8]
    for found, name in zip(both, 'ab', strict=True):
        assert np.array_equal(found, by_hand(folder, model, name))


def test_its_panel_is_drawn(trained, tmp_path):
    from mmseg.registry import DATASETS

    _, config, _, model = trained
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    draw_panel(model, dataset, tmp_path / 'panel.png')
    assert (tmp_path / 'panel.png').stat().st_size > 1000


def test_its_graph_says_how_logits_are_read(trained, tmp_path):
    checkpoint = trained[2]
    written = export(checkpoint, tmp_path / 'graph.pt2', format='pt2')
    meta = json.loads(written.with_suffix('.json').read_text())
    assert (meta['classes'], meta['threshold']) == (['ground', 'thing'], THRESHOLD)
    assert 'sigmoid > threshold' in meta['output']
    logits = torch.export.load(written).module()(torch.randn(1, 3, 64, 64))
    assert logits.shape == (1, 1, 64, 64)
