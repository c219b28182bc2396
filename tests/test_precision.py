"""TF32 in training and in the benchmark, and what precision an optimizer wrapper trains in."""

import pytest
import torch
from mmengine.config import Config

from infopro_seg.errors import ConfigError
from infopro_seg.memory.measuring.measure import Trial
from infopro_seg.memory.tracing.training_setup import TrainingSetup, own_precision
from infopro_seg.precision import describe_tf32, use_tf32
from infopro_seg.training.runner import QuietRunner
from tests.stand_ins import model_config


@pytest.fixture(autouse=True)
def _restored():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def flags():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def trial(env_cfg):
    cfg = Config({'model': model_config(), 'env_cfg': env_cfg})
    cfg.optim_wrapper = {'optimizer': {'type': 'SGD', 'lr': 0.1}}
    Trial(cfg, TrainingSetup(1, (32, 64)))


def training(env_cfg):
    runner = object.__new__(QuietRunner)
    with pytest.raises(ConfigError, match="no attribute '_distributed'"):  # the rest needs a whole runner
        runner.setup_env(env_cfg)


@pytest.mark.parametrize('run', [use_tf32, trial, training])
@pytest.mark.parametrize(
    ('env_cfg', 'expected', 'words'),
    [
        ({}, (False, True), 'TF32 in convolutions'),
        ({'tf32': True}, (True, True), 'TF32 on'),
        ({'tf32': False}, (False, False), 'TF32 off'),
    ],
)
def test_training_and_benchmark_set_the_same(run, env_cfg, expected, words):
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = (not flag for flag in expected)
    run(env_cfg)
    assert flags() == expected
    assert describe_tf32(env_cfg) == words


def test_another_value_is_refused():
    with pytest.raises(ConfigError, match=r"env_cfg.tf32='high' is neither True nor False"):
        use_tf32({'tf32': 'high'})


@pytest.mark.parametrize(
    ('wrapper', 'expected'),
    [
        ({'type': 'CPUAmpOptimWrapper'}, 'bf16'),
        ({'type': 'AmpOptimWrapper'}, 'fp16'),
        ({'type': 'AmpOptimWrapper', 'dtype': 'bfloat16'}, 'bf16'),
        ({'type': 'OptimWrapper'}, None),
    ],
)
def test_the_plan_has_the_precision_of_the_training(wrapper, expected):
    assert own_precision({'optim_wrapper': wrapper}) == expected
