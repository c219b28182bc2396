"""`torchvision://NAME` finds the file of that name in torch's hub folder, without a connection."""

import enum
import sys
from types import ModuleType, SimpleNamespace
from urllib.error import URLError

import pytest
import torch
from mmseg.registry import MODELS

from infopro_seg.errors import CheckpointError
from tests.stand_ins import assert_same, build, model_config

ENCODER = {'type': 'ResNet', 'depth': 18, 'stem_channels': 8, 'base_channels': 8}
FILE = 'resnet18-f37072fd.pth'  # torchvision's
NAMES = ['resnet18', 'resnet18.imagenet1k_v1', 'resnet18.default']


class ResNet18_Weights(enum.Enum):  # noqa: N801  torchvision's name, which mmengine reads
    IMAGENET1K_V1 = SimpleNamespace(url=f'https://download.pytorch.org/models/{FILE}')
    DEFAULT = IMAGENET1K_V1

    @property
    def url(self):
        return self.value.url


def torchvision_is_there():
    try:
        import torchvision
    except (ImportError, RuntimeError):  # the second where it was built for another torch
        return False
    return hasattr(torchvision, 'models') and isinstance(torchvision.__version__, str)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The folder of the files below TORCH_HOME; without a network, and torchvision's list of its weights."""

    def no_network(*args, **kwargs):
        raise URLError('no route to host')

    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setattr(torch.hub, '_hub_dir', None)
    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    if not torchvision_is_there():
        found = {'list_models': lambda _: ['resnet18'], 'get_model_weights': lambda _: ResNet18_Weights}
        package = ModuleType('torchvision')
        package.__version__, package.models = '0.26.0', SimpleNamespace(**found)
        monkeypatch.setitem(sys.modules, 'torchvision', package)
    return tmp_path / 'hub' / 'checkpoints'


def model_from(name):
    weights = {'type': 'Pretrained', 'checkpoint': f'torchvision://{name}'}
    return build(model_config(('layer3.1',), encoder={**ENCODER, 'init_cfg': weights}), double=False)


@pytest.mark.parametrize('name', NAMES)
def test_the_encoder_starts_from_it_but_for_the_classifier_of_images(hub, name):
    source = MODELS.build(ENCODER)
    with torch.no_grad():
        [parameter.normal_() for parameter in source.parameters()]
    hub.mkdir(parents=True)
    torch.save({**source.state_dict(), 'fc.weight': torch.ones(7, 64), 'fc.bias': torch.ones(7)}, hub / FILE)
    model = model_from(name)
    model.init_weights()
    assert_same(dict(model.backbone.encoder.state_dict()), dict(source.state_dict()))


@pytest.mark.parametrize('name', NAMES[:1])
def test_a_file_of_another_name_is_not_taken(hub, name):
    hub.mkdir(parents=True)
    torch.save(MODELS.build(ENCODER).state_dict(), hub / 'resnet18.pth')
    with pytest.raises(CheckpointError) as caught:
        model_from(name).init_weights()
    for word in (f"'torchvision://{name}'", 'no route to host', str(hub)):
        assert word in str(caught.value)
