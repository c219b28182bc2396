"""The config of docs/from_mmseg.md is the stock network, wrapped."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.model.utils import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from infopro_seg.config_files import load_config
from tests.runs import ROOT

PAGE = (ROOT / 'docs' / 'from_mmseg.md').read_text()


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    [(name, code)] = re.findall(r'```python\n# (\w+\.py)\n(.*?)```', PAGE, re.DOTALL)
    path = tmp_path_factory.mktemp('page') / name
    path.write_text(code)
    return load_config(path)


def build(model):
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        return revert_sync_batchnorm(MODELS.build(model))


def test_it_trains_the_stock_network_in_two_modules(config):
    [base] = re.findall(r"_base_ = '(.*?)'", PAGE)
    stock = Config.fromstring(f"_base_ = '{base}'", '.py').model
    model = build(config.model)
    own = {key: value.shape for key, value in model.state_dict().items() if 'local_heads' not in key}
    assert own == {key: value.shape for key, value in build(stock).state_dict().items()}
    assert [blocks[-1].name for blocks in model.backbone.local_modules()] == ['layer3.2', 'layer4.2']
    assert config.train_cfg.type == 'ResumableIterBasedTrainLoop'
    assert config.train_cfg.max_iters == 40000
