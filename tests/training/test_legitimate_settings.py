"""Settings that mmengine takes are not refused, and usual ones are not warned of."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmengine.optim import OptimWrapper
from mmseg.models.segmentors import BaseSegmentor

import infopro_seg.register  # noqa: F401
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.evaluation.metric_names import metric_names
from infopro_seg.hooks.checkpoint_guard import require_fit
from infopro_seg.training.checks.config_check import require_keys
from infopro_seg.training.checks.late_faults import (
    _require_hook,
    _require_numbers,
    _require_test_mode,
)
from infopro_seg.training.checks.optimizer_check import require_optimizer
from tests.runs import DEMO

DEMO_CONFIG = Config.fromfile(str(DEMO))


@pytest.fixture
def said(monkeypatch):
    texts = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text: texts.append(text))
    return texts


def demo(**changes):
    config = Config(DEMO_CONFIG.to_dict())
    config.merge_from_dict(changes)
    return config


@pytest.mark.parametrize('key', ['env_cfg.of_mine', 'val_evaluator.classwise'])
def test_keys_of_the_users_own_are_warned_of(said, key):
    require_keys(demo(**{key: True}))
    assert [text for text in said if f'{key}=True of the config is not read; there are ' in text]


def test_a_misspelt_key_is_refused():
    with pytest.raises(ConfigError, match=r'env_cfg\.cudnn_benchmarks=True .* did you mean cudnn_benchmark'):
        require_keys(demo(**{'env_cfg.cudnn_benchmarks': True}))


def test_images_to_evaluate_need_no_sampler():
    require_keys(demo(val_dataloader={'_delete_': True, **DEMO_CONFIG.val_dataloader, 'sampler': None}))


def test_never_may_be_written_as_infinity():
    _require_numbers('hook', EarlyStoppingHook('mIoU', patience=float('inf'), rule='greater'))


def test_one_checkpoint_may_replace_another():
    runner = SimpleNamespace(train_loop=None)
    hook = CheckpointHook(by_epoch=False, filename_tmpl='latest.pth')
    _require_hook(hook, runner)
    hook.max_keep_ckpts = 1  # which would delete it
    with pytest.raises(ConfigError, match=r"filename_tmpl='latest\.pth'"):
        _require_hook(hook, runner)


@pytest.mark.parametrize('clip', [{'max_norm': float('inf')}, {'max_norm': 1, 'norm_type': float('inf')}])
def test_clipping_by_any_norm_and_keys_of_stock_recipes(clip):
    said = []
    network = torch.nn.Linear(1, 1)
    wrapper = OptimWrapper(torch.optim.SGD(network.parameters(), 0.1), clip_grad=clip)
    keys = {'absolute_pos_embed': {'decay_mult': 0.0}, 'other': {'lr_mult': 2.0}}
    cfg = {'optim_wrapper': {'paramwise_cfg': {'custom_keys': keys}}}
    logger = SimpleNamespace(warning=said.append)
    runner = SimpleNamespace(optim_wrapper=wrapper, cfg=cfg, model=network, logger=logger)
    require_optimizer(runner)
    assert len(said) == 1
    assert "'other' in custom_keys" in said[0]


def test_a_segmentor_of_the_users_own_has_its_own_modes():
    class Model(BaseSegmentor):
        encode_decode = extract_feat = loss = _forward = None
        test_cfg = {'mode': 'slide_flip'}

        def predict(self, inputs, data_samples=None):
            return data_samples

    model = Model()
    _require_test_mode(model)
    model.test_cfg = None
    _require_test_mode(model)


def test_a_metric_of_the_users_own_may_know_others():
    class Own(ClassIoUMetric):
        @staticmethod
        def total_area_to_metrics(*args):
            return {}

    assert metric_names(SimpleNamespace(metrics=[Own(iou_metrics=['mSpecificity'])])) is None


def test_buffers_may_be_infinite_and_states_no_tensors():
    expected = {'mask': torch.zeros(2), 'head._extra_state': {'a': 1}, 'a.running_var': torch.ones(2)}
    good = {**expected, 'mask': torch.tensor([0.0, float('-inf')])}
    require_fit(good, expected, 'c.pth')
    for key, value in (('mask', 'nan'), ('a.running_var', 'inf')):
        broken = {**good, key: torch.tensor([0.0, float(value)])}
        with pytest.raises(ConfigError.__base__, match=f'NaN or infinite, e.g. {key}'):
            require_fit(broken, expected, 'c.pth')
