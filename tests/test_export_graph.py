import json
import subprocess
import sys
import warnings

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

import infopro_seg
from infopro_seg.checkpoints import config_of
from infopro_seg.errors import ConfigError, DataError, UserError
from infopro_seg.export import export
from infopro_seg.export_graph import Network, require_onnx
from infopro_seg.inference import Predictor
from tests.memory.short_resnets import short_encoder
from tests.models.test_heads import NETWORKS
from tests.runs import images, load
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    head_config,
    make_batch,
    model_config,
    preprocessed,
)

SIZES = [(64, 96), (96, 160)]
CLOSE = {'rtol': 1e-3, 'atol': 1e-3}
META = {'classes': ('a', 'b', 'c', 'd', 'e'), 'palette': [[n, 0, 0] for n in range(5)]}


def saved(folder, cuts=CUTS, **change):
    """A checkpoint of a tiny network as a training leaves it, and the network."""
    config = model_config(cuts, **change)
    model = build(config, double=False).eval()
    meta = {'cfg': Config({'model': config}).pretty_text, 'dataset_meta': META}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'trained.pth')
    return folder / 'trained.pth', model


def logits(model, inputs):
    """By mmseg's own way to a prediction, at the size of the image."""
    shape = {key: tuple(inputs.shape[2:]) for key in ('img_shape', 'ori_shape', 'pad_shape')}
    with torch.no_grad():
        return model.inference(inputs, [shape])


@pytest.mark.parametrize('form', ['onnx', 'pt2'])
def test_a_graph_gives_the_logits_of_the_network_at_two_sizes(tmp_path, form, caplog):
    if form == 'onnx':
        onnxruntime = pytest.importorskip('onnxruntime')
        pytest.importorskip('onnxscript')
    checkpoint, model = saved(tmp_path, ('layer2.0',), encoder=short_encoder(5))
    with warnings.catch_warnings(record=True) as told, caplog.at_level('WARNING'):
        written = export(checkpoint, tmp_path / 'graphs', format=form)
    assert [*map(str, told), *caplog.messages] == []
    assert written == tmp_path / 'graphs' / f'model.{form}'
    meta = json.loads(written.with_suffix('.json').read_text())
    assert meta['classes'] == list(META['classes'])
    assert meta['palette'] == META['palette']
    assert (meta['mean'], meta['std'], meta['channels']) == ([120, 110, 100], [60, 55, 50], 'RGB')
    assert meta['size'] is None
    if form == 'onnx':
        session = onnxruntime.InferenceSession(str(written), providers=['CPUExecutionProvider'])
        stored = session.get_modelmeta().custom_metadata_map
        assert json.loads(stored['classes']) == list(META['classes'])
    else:
        files = {'metadata.json': ''}
        graph = torch.export.load(written, extra_files=files).module()
        assert json.loads(files['metadata.json']) == meta
    for size in SIZES:
        inputs = torch.randn(1, 3, *size)
        if form == 'onnx':
            [given] = session.run(None, {'image': inputs.numpy()})
            given = torch.from_numpy(given)
        else:
            given = graph(inputs)
        assert_same(given.detach(), logits(model, inputs), **CLOSE)


@pytest.mark.parametrize(
    'name', ['OCRNet', 'PointRend', 'FPN with an auxiliary head', 'three auxiliary heads']
)
def test_every_kind_of_segmentor_is_exported_for_stock_mmseg(tmp_path, name):
    checkpoint, model = saved(tmp_path, **({'auxiliary_head': None} | NETWORKS[name]))
    config = Config.fromfile(export(checkpoint, tmp_path / 'plain.pth'))
    assert 'InfoPro' not in config.pretty_text
    stock = MODELS.build(config.model).eval()
    assert type(stock).__name__ == config.model.type
    stock.load_state_dict(load(tmp_path / 'plain.pth')['state_dict'], strict=True)
    inputs = preprocessed(model, make_batch(1))[0].float()
    assert_same(logits(stock, inputs), logits(model, inputs))


def test_pointrend_is_no_graph(tmp_path):
    _, model = saved(tmp_path, **NETWORKS['PointRend'])
    with pytest.raises(UserError, match=r'PointRend .* use --format mmseg'):
        Network(model)


def test_what_stock_mmseg_cannot_run_is_refused(tmp_path):
    encoder = {'type': 'MobileNetV2', 'widen_factor': 0.25, 'out_indices': (6,)}
    heads = {'decode_head': head_config(in_index=0), 'auxiliary_head': None}
    checkpoint, _ = saved(tmp_path, cuts=('layer3.1',), encoder=encoder, **heads)
    with pytest.raises(UserError, match=r'MobileNetV2 gives a single output .* encoder\.out_indices'):
        export(checkpoint, tmp_path / 'plain.pth')
    assert not (tmp_path / 'plain.pth').exists()


def test_another_suffix_and_missing_packages_are_named(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r'plain\.pth does not end in \.pt2; give a \.pt2 file, or a folder'):
        export(tmp_path / 'any.pth', tmp_path / 'plain.pth', format='pt2')
    monkeypatch.setattr('infopro_seg.export_graph.find_spec', lambda name: None)
    with pytest.raises(
        UserError, match='onnx, onnxscript, onnxruntime: pip install onnx onnxscript onnxruntime'
    ):
        require_onnx()


def test_importing_the_package_imports_no_torch():
    code = 'import sys, infopro_seg; sys.exit("torch" in sys.modules or not callable(infopro_seg.load))'
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_three_lines_predict_a_file_and_an_array_alike(streets, lively, tmp_path):
    config = config_of(load(lively), lively)
    config.dump(tmp_path / 'config.py')
    network = infopro_seg.load(tmp_path, lively, device='cpu')
    [image, *_] = images(streets, 'val')
    labels = network.predict(image)
    rgb = mmcv.imread(str(image), channel_order='rgb')
    assert (labels.shape, labels.dtype) == (rgb.shape[:2], np.uint8)
    assert len(np.unique(labels)) > 2
    assert np.array_equal(network.predict(str(image)), labels)
    assert np.array_equal(network.predict(rgb), labels)
    assert not np.array_equal(network.predict(rgb[..., ::-1]), labels)  # BGR is another image
    assert np.array_equal(Predictor(config, lively, 'cpu')(image), labels)
    assert labels.max() < len(network.classes)
    for wrong in (rgb.astype(np.float32), rgb[..., :2]):
        with pytest.raises(DataError, match=r'\(H, W, 3\) uint8'):
            network.predict(wrong)
    (tmp_path / 'second.py').write_text('')
    with pytest.raises(ConfigError, match=r'config\.py, second\.py; name one'):
        infopro_seg.load(tmp_path, lively)
