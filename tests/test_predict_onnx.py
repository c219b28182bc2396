"""An exported network predicts what its checkpoint does."""

import json

import cv2
import numpy as np
import pytest

from infopro_seg.config_files import load_config
from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.export import to_stock_config
from infopro_seg.export_graph import metadata
from infopro_seg.predict import Ways, predict
from infopro_seg.prediction.onnx_network import OnnxNetwork
from tests.predictors import META, SLIDE, WHOLE, WINDOW, load_once, picture, save_network
from tests.runs import read_png

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxscript')
pytest.importorskip('onnxruntime')

RESIZE = {'type': 'Resize', 'scale': (96, 96), 'keep_ratio': True}
NETWORKS = {
    'whole': (WHOLE, [], (96, 160)),
    'sliding': (SLIDE, [], (130, 100)),
    'resized': (WHOLE, [RESIZE], (140, 210)),
}


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    load_once(monkeypatch)


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    """Each of the networks with its export; as they differ in their way of predicting only, one is made."""
    found = {}
    for name, (test_cfg, steps, _) in NETWORKS.items():
        folder = tmp_path_factory.mktemp(name)
        network = save_network(folder, test_cfg, *steps)
        if not found:
            found[name] = (network, network.exported(folder))
            continue
        config = to_stock_config(load_config(network.config), network.predictor().model)
        way = json.dumps(metadata(META, config)['prediction'])
        found[name] = (network, rewritten(found['whole'][1], folder / 'net.onnx', prediction=way))
    return found


def rewritten(source, target, **changes):
    """A copy of an export with other metadata; None leaves one out."""
    model = onnx.load(source)
    kept = {entry.key: entry.value for entry in model.metadata_props} | changes
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in kept.items() if value is not None})
    onnx.save(model, str(target))
    return target


def same(labels, expected):
    """Equal, ties aside: two runtimes round differently."""
    assert labels.shape == expected.shape
    assert labels.dtype == expected.dtype
    return np.mean(labels != expected) < 1e-3 and len(np.unique(expected)) > 2


@pytest.mark.parametrize('name', NETWORKS)
def test_its_labels_are_those_of_the_checkpoint(saved, tmp_path, name):
    network, exported = saved[name]
    image = picture(*NETWORKS[name][2])
    cv2.imwrite(str(tmp_path / 'street.png'), image)
    assert predict(exported, None, [tmp_path / 'street.png'], tmp_path / 'out') == []
    expected = network.predictor().predict(tmp_path / 'street.png')
    assert same(read_png(tmp_path / 'out/street_labels.png'), expected + 1)
    shown = read_png(tmp_path / 'out/street_overlay.png')[..., ::-1]
    colours = np.array(META['palette'])[expected]
    assert np.mean(np.abs(shown - (0.45 * image[..., ::-1] + 0.55 * colours)) > 0.51) < 1e-2


def test_a_raster_goes_through_its_windows(saved, tmp_path, monkeypatch):
    rasterio = pytest.importorskip('rasterio')
    from infopro_seg.prediction import raster_files

    network, exported = saved['sliding']
    path = tmp_path / 'a.tif'
    cv2.imwrite(str(path), picture(150, 90))
    expected = network.predictor().predict(path)
    monkeypatch.setattr(raster_files, 'LARGE', 1000)
    assert predict(exported, None, [path], tmp_path / 'out') == []
    with rasterio.open(tmp_path / 'out/a_labels.tif') as dataset:
        assert same(dataset.read(1), expected + 1)
    with pytest.raises(UserError, match=r'trained with resized images; leave out .* --no-resize'):
        predict(saved['resized'][1], None, [path], tmp_path / 'none')
    assert predict(saved['resized'][1], None, [path], tmp_path / 'own', ways=Ways(resize=False)) == []


def test_sides_that_are_no_multiples_of_32_are_padded(saved):
    network = OnnxNetwork(saved['whole'][1], 'cpu')
    image = picture(70, 45)
    labels = network.predict(np.ascontiguousarray(image[..., ::-1]))
    assert labels.shape == (70, 45)
    rgb = np.zeros((96, 64, 3), np.float32)  # normalised, so that the mean is 0
    rgb[:70, :45] = (image[..., ::-1] - network.mean) / network.std
    [logits] = network.session.run(None, {'image': rgb.transpose(2, 0, 1)[None]})
    assert np.array_equal(labels, logits[0].argmax(0)[:70, :45])


def test_a_graph_of_one_size_is_slid_over_the_image(saved, tmp_path):
    network = OnnxNetwork(rewritten(saved['whole'][1], tmp_path / 'one.onnx', size='[64, 96]'), 'cpu')
    assert (network.window, network.stride) == ((64, 96), (43, 64))
    asked = []
    run = network.session.run

    class Session:
        def run(self, names, inputs):
            asked.append(inputs['image'].shape)
            return run(names, inputs)

    network.session = Session()
    assert network.predict(picture(100, 50)).shape == (100, 50)
    assert asked == [(1, 3, 64, 96)] * 2


def test_what_is_no_export_is_named(saved, tmp_path):
    (tmp_path / 'text.onnx').write_text('hello')
    with pytest.raises(CheckpointError, match=r'cannot read the exported network .*text\.onnx'):
        OnnxNetwork(tmp_path / 'text.onnx')
    bare = rewritten(saved['whole'][1], tmp_path / 'bare.onnx', classes=None, channels=None)
    with pytest.raises(CheckpointError, match=r'bare\.onnx does not say its channels, classes, as .* onnx'):
        OnnxNetwork(bare)
    with pytest.raises(CheckpointError, match=r'no exported network .*none\.onnx'):
        OnnxNetwork(tmp_path / 'none.onnx')
    with pytest.raises(UserError, match='--device cuda cannot be used: onnxruntime has CPU'):
        OnnxNetwork(saved['whole'][1], 'cuda')


@pytest.mark.parametrize(
    'given', [{'ways': Ways(batch=2)}, {'ways': Ways(half=True)}, {'options': {'a': 1}}], ids=str
)
def test_options_of_checkpoints_are_refused(saved, tmp_path, given):
    cv2.imwrite(str(tmp_path / 'a.png'), picture(8, 8))
    with pytest.raises(UserError, match='leave out --batch, --half and --cfg-options'):
        predict(saved['whole'][1], None, [tmp_path / 'a.png'], tmp_path / 'out', **given)


def test_an_older_export_without_its_way_of_predicting_is_used_whole(saved, tmp_path):
    network = OnnxNetwork(rewritten(saved['sliding'][1], tmp_path / 'old.onnx', prediction=None), 'cpu')
    assert not network.slides
    assert network.window == (512, 512)
    assert OnnxNetwork(saved['sliding'][1], 'cpu').window == WINDOW
