"""What an export refuses to write over, and what its metadata say."""

from inspect import signature

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop
from torch.nn.utils import clip_grad_norm_

from infopro_seg.errors import UserError
from infopro_seg.export import export, to_stock, to_stock_config
from infopro_seg.export_graph import metadata
from infopro_seg.prediction.checkpoint_windows import window_settings
from tests.stand_ins import build, make_batch, model_config, preprocessed

CLASSES = {'classes': ('a', 'b', 'c'), 'reduce_zero_label': True}


@pytest.fixture
def checkpoint(tmp_path):
    config = model_config(())
    meta = {'cfg': Config({'model': config}).pretty_text, 'dataset_meta': {'classes': tuple('abcde')}}
    model = build(config, double=False)
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, tmp_path / 'trained.pth')
    return tmp_path / 'trained.pth'


@pytest.mark.parametrize('given', [{'bgr_to_rgb': True}, {'rgb_to_bgr': True}, {}], ids=str)
def test_the_order_of_channels_is_what_the_network_gets(given):
    """A pixel as mmcv loads it, B=0, G=1, R=2, shows what mmseg's own preprocessor makes of it."""
    config = model_config(())
    config['data_preprocessor'] = {'type': 'SegDataPreProcessor', 'size': (32, 64), **given}
    model = build(config, double=False)
    batch = make_batch(1)
    batch['inputs'][0] = torch.arange(3, dtype=torch.uint8)[:, None, None].expand(3, 32, 64)
    seen = preprocessed(model, batch)[0][0, :, 0, 0].tolist()
    assert metadata(CLASSES, Config({'model': config}))['channels'] == ('RGB' if seen == [2, 1, 0] else 'BGR')


def test_the_metadata_are_complete_without_a_palette():
    meta = metadata(CLASSES, Config({'model': model_config(())}))
    assert meta['label_ids'] == [1, 2, 3]
    assert np.shape(meta['palette']) == (3, 3)
    assert 'threshold' not in meta


@pytest.mark.parametrize('form', ['mmseg', 'pt2'])
def test_a_file_that_is_no_export_is_not_replaced(checkpoint, tmp_path, form):
    second = tmp_path / f'net{".py" if form == "mmseg" else ".json"}'
    second.write_text('of the user')
    out = tmp_path / f'net{".pth" if form == "mmseg" else ".pt2"}'
    with pytest.raises(
        UserError, match=rf'{second.name}, which the export writes beside it, .* not a complete export'
    ):
        export(checkpoint, out, format=form)
    assert second.read_text() == 'of the user'
    assert not out.exists()


def test_a_checkpoint_of_a_training_is_not_replaced(checkpoint, tmp_path):
    other = tmp_path / 'iter_2.pth'
    other.write_bytes(b'of another training')
    with pytest.raises(UserError, match='this file already exists and is not a complete export; delete it'):
        export(checkpoint, other)
    assert other.read_bytes() == b'of another training'


@pytest.mark.parametrize('form', ['mmseg', 'pt2'])
def test_a_model_of_the_user_with_its_source_is_not_replaced(checkpoint, tmp_path, form):
    out = tmp_path / ('model.pth' if form == 'mmseg' else 'model.pt2')
    second = out.with_suffix('.py' if form == 'mmseg' else '.json')
    out.write_bytes(checkpoint.read_bytes())
    second.write_text('{"classes": 3}')
    with pytest.raises(UserError, match=r'this file and .*/model\.\w+ already exist and are not an earlier'):
        export(checkpoint, tmp_path, format=form)
    assert out.read_bytes() == checkpoint.read_bytes()
    assert second.read_text() == '{"classes": 3}'


def test_an_exported_config_with_changes_of_the_user_is_not_replaced(checkpoint, tmp_path):
    config = export(checkpoint, tmp_path / 'out')
    config.write_text(text := config.read_text() + '# notes')
    with pytest.raises(UserError, match='or have been changed since'):
        export(checkpoint, tmp_path / 'out')
    assert config.read_text() == text


def test_an_earlier_export_is_replaced_and_nothing_else_is_left(checkpoint, tmp_path):
    for _ in range(2):
        export(checkpoint, tmp_path / 'out')
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['model.pth', 'model.py']


def test_a_place_that_cannot_be_written_is_refused_before_the_checkpoint_is_read(monkeypatch):
    monkeypatch.setattr('infopro_seg.export.read_checkpoint', lambda path: pytest.fail('it was read'))
    with pytest.raises(UserError, match=r'cannot write to --out /proc/none/net.pth, in /proc/none'):
        export('any.pth', '/proc/none/net.pth')


def test_the_stock_loader_of_labels_gets_none_of_our_arguments():
    ours = {'type': 'LoadLabels', 'num_classes': 3, 'drawn_on': 'stored', 'imdecode_backend': 'cv2'}
    assert to_stock([ours]) == [{'type': 'LoadAnnotations', 'imdecode_backend': 'cv2'}]


@pytest.mark.parametrize('loop', ['ResumableIterBasedTrainLoop', 'ModuleParallelTrainLoop'])
def test_the_stock_library_gets_no_settings_of_local_modules(loop):
    config = Config(
        {
            'model': model_config(),
            'train_cfg': {'type': loop, 'max_iters': 2, 'val_interval': 1, 'seed_per_module': True},
            'optim_wrapper': {'clip_grad': {'max_norm': 10.0, 'per_module': True}},
            'fit': {'budget': '11GiB', 'recipes': []},
            'model_parallel': {'modules': 'parallel'},
        }
    )
    stock = to_stock_config(config, build(config.model, double=False))
    assert set(stock) == {'model', 'train_cfg', 'optim_wrapper'}
    assert stock.train_cfg.pop('type') == 'IterBasedTrainLoop'
    signature(IterBasedTrainLoop).bind(runner=None, dataloader=None, **stock.train_cfg)
    signature(clip_grad_norm_).bind([], **stock.optim_wrapper.clip_grad)


@pytest.mark.parametrize(('given', 'found'), [(64, (64, 64)), ((48, 96), (48, 96))])
def test_windows_are_the_crops_of_the_training(given, found):
    config = Config({'model': model_config(), 'crop_size': given})
    assert tuple(metadata(CLASSES, config)['prediction']['crop_size']) == found
    assert window_settings(config)[0] == found
