"""A classifier's checkpoint for stock mmpretrain."""

import os
import subprocess
import sys

import torch
from mmengine.config import Config

from infopro_seg.checkpoints import config_of
from infopro_seg.classification.prediction import ImageNetwork
from infopro_seg.export import export
from tests.classification.tiny import CLASSES, SIZE, model_config
from tests.runs import load
from tests.stand_ins import assert_same, build

STOCK = """
import sys
from tests import optional_packages
optional_packages.import_classification()
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
import mmseg.models

config = Config.fromfile(sys.argv[1])
init_default_scope(config.default_scope)
model = MODELS.build(config.model)
content = torch.load(sys.argv[2], weights_only=True)
model.load_state_dict(content['state_dict'], strict=True)
model.eval()
with torch.no_grad():
    scores = torch.stack([sample.pred_score for sample in model.predict(torch.load(sys.argv[3]))])
torch.save({'scores': scores, 'meta': content['meta'], 'type': type(model).__module__}, sys.argv[3])
"""


def in_a_process(folder, config, checkpoint, inputs):
    torch.save(inputs, folder / 'inputs.pt')
    command = [sys.executable, '-c', STOCK, config, checkpoint, folder / 'inputs.pt']
    done = subprocess.run(
        list(map(str, command)), text=True, capture_output=True, env={**os.environ, 'OMP_NUM_THREADS': '1'}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(folder / 'inputs.pt', weights_only=False)


def test_stock_mmpretrain_loads_it_strictly_and_gives_the_same_scores(run):
    checkpoint = run / 'run' / 'iter_4.pth'
    written = export(checkpoint, run / 'plain.pth')
    network = ImageNetwork(config_of(load(checkpoint), checkpoint), checkpoint)
    inputs = torch.randn(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    stock = in_a_process(run, written, run / 'plain.pth', inputs)
    assert_same(stock['scores'], network.model.scores(inputs), rtol=1e-5, atol=1e-6)  # of one thread there
    assert stock['type'].startswith('mmpretrain.')
    assert list(stock['meta']['dataset_meta']['classes']) == ['left', 'middle', 'right']


def test_the_config_imports_what_this_package_alone_has(run):
    config = Config.fromfile(
        export(run / 'run' / 'iter_4.pth', run / 'other.pth'), import_custom_modules=False
    )
    assert config.model.type == 'mmpretrain.ImageClassifier'
    assert config.model.backbone.type == 'CifarResNet'
    assert config.model.head.in_channels == 16
    own = [name for name in config.custom_imports.imports if name.startswith('infopro_seg')]
    assert own == ['infopro_seg.classification.cifar_resnet', 'infopro_seg.classification.encoded_images']


def test_of_an_encoder_of_mmseg_nothing_of_this_package_is_left(tmp_path):
    encoder = {
        'type': 'ResNet',
        'depth': 18,
        'base_channels': 4,
        'out_indices': (3,),
        'norm_cfg': {'type': 'BN'},
    }
    model = model_config(1, channels_last=True)
    model.backbone.encoder = encoder
    config = Config(
        {
            'model': model,
            'default_scope': 'mmseg',
            'test_dataloader': {
                'dataset': {
                    'type': 'mmpretrain.CIFAR10',
                    'data_root': 'none',
                    'split': 'test',
                    'pipeline': [],
                }
            },
        }
    )
    content = {'state_dict': build(model, double=False).state_dict(), 'meta': {'cfg': config.pretty_text}}
    torch.save(content, tmp_path / 'iter_1.pth')
    written = export(tmp_path / 'iter_1.pth', tmp_path / 'plain.pth')
    assert 'infopro' not in written.read_text().lower()
    assert Config.fromfile(written, import_custom_modules=False).model.backbone == encoder
    assert Config.fromfile(written, import_custom_modules=False).model.head.num_classes == CLASSES
