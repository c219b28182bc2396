import logging

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from infopro_seg.errors import ConfigError
from infopro_seg.training.checks.config_check import require_keys
from tests.runs import DEMO, ROOT

DEMO_CONFIG = Config.fromfile(str(DEMO))


def demo(**changes):
    config = Config(DEMO_CONFIG.to_dict())
    config.merge_from_dict(changes)
    return config


@pytest.fixture
def warnings():
    """What is warned of, also where the tests' logger is quiet."""
    found = []
    handler = logging.Handler()
    handler.emit = lambda record: found.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({'train_dataloder': {'batch_size': 9}}, 'did you mean train_dataloader?'),
        ({'default_hook': {'logger': {'interval': 3}}}, 'did you mean default_hooks?'),
        ({'param_schedulers': [{'type': 'PolyLR'}]}, 'did you mean param_scheduler?'),
        ({'resum': True}, 'did you mean resume?'),
        ({'load_form': 'a.pth'}, "load_form='a.pth' of the config is not read; did you mean load_from?"),
        ({'runner_type': 'Other'}, "runner_type='Other'"),
        ({'load_from': ['a', 'b.pth']}, 'is a list; write a single value (in --cfg-options, a text with'),
        ({'work_dir': ['a']}, "work_dir=['a'] of the config is a list"),
        (
            {'env_cfg.cudnn_benchmrk': True},
            'env_cfg.cudnn_benchmrk=True of the config is not read',
        ),
        ({'auto_scale_lr.base_batch': 4}, 'did you mean base_batch_size?'),
        ({'default_hooks.loger': None}, 'default_hooks.loger=None'),
        ({'default_hooks.checkpont': {'interval': 3}}, 'did you mean checkpoint?'),
        (
            {'val_cfg': None},
            'val_cfg of the config is missing or None, but val_dataloader, val_cfg',
        ),
        (
            {'train_dataloader.sampler': None},
            "no sampler; write sampler=dict(type='InfiniteSampler'",
        ),
        ({'val_dataloader.dataset': None}, 'val_dataloader of the config has no dataset'),
        (
            {'optim_wrapper.optimizer.type': 'SGDD'},
            'no SGDD among the registered optimizers; did you',
        ),
        ({'train_dataloader.collate_fn': {'type': 'pseudo_colate'}}, 'did you mean pseudo_collate?'),
        ({'val_evaluator.iou_metric': ['mIoU']}, 'did you mean iou_metrics?'),
        (
            {'test_evaluator.format_only': True},
            'test_evaluator writes label images, but it has no output_dir',
        ),
        ({'optim_wrapper.paramwise_cfg': {'norm_decay_multi': 0.0}}, 'did you mean norm_decay_mult?'),
        (
            {'optim_wrapper.paramwise_cfg': {'custom_keys': {'layer1': {'lr_mul': 0.1}}}},
            "optim_wrapper.paramwise_cfg.custom_keys['layer1'].lr_mul=0.1 of the config is not read; did you "
            'mean lr_mult?',
        ),
    ],
)
def test_a_misspelt_key_is_refused_with_what_was_meant(changes, expected):
    with pytest.raises(ConfigError) as caught:
        require_keys(demo(**changes))
    assert expected in str(caught.value)


def test_hooks_are_listed():
    config = demo()
    config.custom_hooks = {'type': 'EMAHook'}
    with pytest.raises(ConfigError, match=r'custom_hooks=.*EMAHook.* is not a list; write custom_hooks=\['):
        require_keys(config)


@pytest.mark.parametrize(
    'changes',
    [
        {'classes': ('a', 'b'), 'crop_size': (4, 4), 'lr': 0.1, 'max_iters': 5, 'norm_cfg': {'type': 'BN'}},
        {'val_loader': {'batch_size': 7}, 'val_dataloader.batch_size': 7},  # merged into what is read
        {'hooks': [], 'my_model': {'type': 'X'}, 'train_pipeline': [], 'val_pipeline': []},
        {'default_hooks.visualization': {'type': 'SegVisualizationHook'}},
        {'optim_wrapper.paramwise_cfg': {'custom_keys': {'norm': {'decay_mult': 0.0}}}},
        {'val_dataloader': None, 'val_cfg': None, 'val_evaluator': None},
    ],
)
def test_variables_and_all_that_is_read_are_let_pass(changes, warnings):
    require_keys(demo(**changes))
    assert not warnings


def test_what_is_of_another_time_or_kind_is_warned_of(warnings):
    require_keys(demo(lr_config={'policy': 'poly'}, stage=2))
    assert warnings == [
        'lr_config of the config is not read; write param_scheduler instead',
        'stage=2 of the config is not read; did you mean stages?',
    ]


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        ('lr', 'set optim_wrapper.optimizer.lr instead'),
        ('max_iters', 'set train_cfg.max_iters instead'),
        ('batch_size', 'set train_dataloader.batch_size or val_dataloader.batch_size'),
        ('train_dataloder.batch_size', 'train_dataloder is not read; did you mean train_dataloader?'),
    ],
)
def test_an_override_that_nothing_reads_is_refused(option, expected):
    with pytest.raises(ConfigError) as caught:
        require_keys(demo(**{option: 5}), {option: 5})
    assert f'--cfg-options {option}=5' in str(caught.value)
    assert expected in str(caught.value)


def test_an_override_for_the_users_own_code_is_warned_of(warnings):
    require_keys(demo(my_flag=1), {'my_flag': 1, 'train_cfg.max_iters': 3})
    assert warnings == ['--cfg-options my_flag=1 sets a key that only your own code can read']


@pytest.mark.parametrize('name', ['custom_dataset', 'deeplabv3_infopro_async_cityscapes'])
def test_shipped_configs_pass(name, warnings):
    require_keys(Config.fromfile(str(ROOT / 'configs' / f'{name}.py')))
    assert not warnings
