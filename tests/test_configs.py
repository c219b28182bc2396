import math
from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import TRANSFORMS
from mmseg.registry import DATASETS, METRICS, MODELS

from infopro_seg.memory import resolve_cuts
from infopro_seg.turn_configs import turn_config
from tests.models.encoder_list import is_missing
from tests.runs import LOADERS, ROOT
from tests.shrunk import thin
from tests.stand_ins import make_batch

CONFIGS = sorted(
    set((ROOT / 'configs').glob('*.py')) - {ROOT / 'configs' / 'custom_dataset.py'}
)  # has its own test
GPUS = 2

# Paper, table 5 and section 5: training, batch in all, crop, lr, lambda of recon and task; 40k steps each.
# The last is ours: whole images, K = 4, two iterations per step.
R101 = 'layer3.12'
QUARTERS = ('layer3.2', 'layer3.12', 'layer3.22')
PAPER = {
    'deeplabv3_e2e_cityscapes': ((), 8, (512, 1024), 0.01, None, None),
    'deeplabv3_infopro_cityscapes': ((R101,), 8, (512, 1024), 0.01, 1.5, 1.0),
    'deeplabv3_infopro_cityscapes_bs12': ((R101,), 12, (512, 1024), 0.015, 1.0, 0.1),
    'deeplabv3_infopro_cityscapes_640x1280': ((R101,), 8, (640, 1280), 0.015, 2.0, 1.0),
    'deeplabv3_infopro_cityscapes_1024x2048': (QUARTERS, 8, (1024, 2048), 0.01, 1.5, 1.0),
}


def read(name):
    return Config.fromfile(str(ROOT / 'configs' / f'{name}.py'))


STREETS = [path for path in CONFIGS if read(path.stem).dataset_type == 'CityscapesDataset']


def balanced_cuts(backbone):
    """Of such a config, balanced once for all; what options of heads change: memory/test_next_module.py."""
    encoder, modules = backbone.encoder.to_dict(), backbone.pop('num_modules')
    config = Config.fromfile(str(ROOT / 'configs' / 'deeplabv3_infopro_lean_cityscapes.py'))
    config.model = thin(config.model)
    config.model.backbone.encoder.depth = 18
    assert (config.model.backbone.encoder.to_dict(), config.model.backbone.num_modules) == (encoder, modules)
    return resolve_cuts(config).model.backbone.cuts


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_takes_a_train_step(path):
    """With its own cuts, losses and optimizer; every parameter moves, and every loss is finite."""
    config = Config.fromfile(str(path))
    if path.stem.startswith('upernet_convnext') and is_missing('mmpretrain'):
        pytest.skip('mmpretrain is not installed')
    config.model = thin(config.model)
    if config.model.backbone.get('num_modules'):  # no cut is named, and a few blocks are balanced as well
        config.model.backbone.encoder.depth = 18
        config.model.backbone.cuts = balanced_cuts(config.model.backbone)
    model = revert_sync_batchnorm(MODELS.build(config.model))
    settings = deepcopy(config.optim_wrapper)
    settings.pop('accumulative_counts', None)
    optim_wrapper = build_optim_wrapper(model, settings)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    logs = model.train().train_step(make_batch(size=(64, 128)), optim_wrapper)
    modules = {name.split('.')[0] for name in logs if name.startswith('local_')}
    assert modules == {f'local_{k}' for k in range(len(config.model.backbone.cuts))}
    assert all(math.isfinite(value) for value in logs.values())
    assert [name for name, p in model.named_parameters() if torch.equal(p, before[name])] == []
    assert list(model.backbone.cuts) == list(config.model.backbone.cuts)


samples = {}


def first_sample(dataset):
    """A copy of what a data set begins with; many configs have the same."""
    key = repr(dataset.to_dict())
    if key not in samples:
        samples[key] = DATASETS.build(dataset)[0]
    return deepcopy(samples[key])


@pytest.mark.parametrize('path', STREETS, ids=lambda path: path.stem)
def test_every_config_s_data_and_schedule_fit_together(path, streets):
    config = Config.fromfile(str(path))
    for loader in LOADERS:
        config[loader].dataset.data_root = str(streets)
    sample = first_sample(config.train_dataloader.dataset)
    data = MODELS.build(config.model.data_preprocessor)(pseudo_collate([sample]), True)
    assert data['inputs'].shape[2:] == data['data_samples'][0].gt_sem_seg.shape
    assert data['inputs'].shape[2:] == tuple(config.model.data_preprocessor.size)
    tested = first_sample(config.test_dataloader.dataset)
    assert tested['data_samples'].gt_sem_seg.shape == (64, 128)
    assert METRICS.build(config.test_evaluator).metrics == ['mIoU']
    views = TRANSFORMS.build(config.tta_pipeline[-1]).subroutines
    assert len(views) == 12  # six scales, each also flipped
    assert config.param_scheduler[-1].end == config.train_cfg.max_iters
    assert config.train_cfg.max_iters % config.train_cfg.val_interval == 0
    assert config.train_cfg.val_interval % config.default_hooks.checkpoint.interval == 0


@pytest.mark.parametrize('name', PAPER)
def test_the_cityscapes_configs_are_the_paper_s(name):
    cuts, batch, crop, lr, recon, task = PAPER[name]
    config = read(name)
    model, encoder = config.model, config.model.backbone.encoder
    accumulated = config.optim_wrapper.get('accumulative_counts', 1)
    images = config.train_dataloader.batch_size * GPUS
    assert images * accumulated == batch
    assert config.auto_scale_lr == {'enable': False, 'base_batch_size': images}  # mmengine counts iterations
    assert config.train_cfg.max_iters == 40000 * accumulated
    assert tuple(model.backbone.cuts) == cuts
    assert tuple(model.data_preprocessor.size) == crop
    [step] = [step for step in config.train_dataloader.dataset.pipeline if step.type == 'RandomCrop']
    assert tuple(step.crop_size) == crop
    assert config.optim_wrapper.optimizer == {'type': 'SGD', 'lr': lr, 'momentum': 0.9, 'weight_decay': 5e-4}
    [schedule] = config.param_scheduler
    assert (schedule.type, schedule.power, schedule.eta_min, schedule.by_epoch) == (
        'PolyLR',
        0.9,
        1e-4,
        False,
    )
    assert (encoder.type, encoder.depth, encoder.norm_cfg.type) == ('ResNetV1c', 101, 'SyncBN')
    assert encoder.init_cfg == {'type': 'Pretrained', 'checkpoint': 'open-mmlab://resnet101_v1c'}
    assert (tuple(encoder.strides), tuple(encoder.dilations)) == (
        (1, 2, 1, 1),
        (1, 1, 2, 4),
    )  # output stride 8
    assert (model.decode_head.type, tuple(model.decode_head.dilations)) == ('ASPPHead', (1, 12, 24, 36))
    assert config.train_dataloader.dataset.data_root == 'data/cityscapes'
    head = model.backbone.get('local_head')
    if recon is None:
        assert head is None
        return
    assert (head.decoder.loss_recon.loss_weight, head.auxiliary_head.loss_decode.loss_weight) == (recon, task)
    if crop == (1024, 2048):
        return  # the lean local head
    assert tuple(head.decoder.channels) == (128, 32, 12)
    auxiliary = head.auxiliary_head
    assert (auxiliary.channels, auxiliary.dropout_ratio, auxiliary.align_corners) == (512, 0.1, True)


@pytest.mark.parametrize('training', ['e2e', 'infopro'])
def test_the_synthetic_twin_differs_only_in_the_data(training):
    ours, theirs = (
        read(f'deeplabv3_{training}_{data}').to_dict() for data in ('cityscapes', 'synthetic_streets')
    )
    differing = {key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)}
    pipelines = {'train_pipeline', 'test_pipeline'}
    assert differing == {'data_root', 'data_howto', *pipelines, *LOADERS}
    for key in pipelines:  # the size of the images
        for step, twin in zip(ours[key], theirs[key], strict=True):
            if step != twin:
                assert (step.pop('scale'), twin.pop('scale')) == ((2048, 1024), (1024, 512))
            assert step == twin
    for loader in LOADERS:
        for key in ('data_root', 'pipeline'):
            ours[loader]['dataset'].pop(key), theirs[loader]['dataset'].pop(key)
        assert ours[loader] == theirs[loader]


STAGED = [
    (path, stage) for path in CONFIGS for stage in range(len(Config.fromfile(str(path)).get('stages') or ()))
]


@pytest.mark.parametrize(('path', 'stage'), STAGED, ids=lambda value: getattr(value, 'stem', value))
def test_every_stage_of_a_config_takes_a_train_step(path, stage):
    """With its own schedule; the parameters of its module move, and no others."""
    config = turn_config(Config.fromfile(str(path)), stage)
    last = stage == len(config.model.backbone.cuts)
    assert (config.val_dataloader is not None) == last
    assert config.param_scheduler[-1].end == config.train_cfg.max_iters
    config.model = thin(config.model)
    model = revert_sync_batchnorm(MODELS.build(config.model))
    optim_wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    logs = model.train().train_step(make_batch(size=(64, 128)), optim_wrapper)
    assert all(math.isfinite(value) for value in logs.values())
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name, p in model.named_parameters() if p.requires_grad}
    heads = {name for name in before if name.startswith(('decode_head', 'auxiliary_head'))}
    assert (moved >= heads) if last else not (moved & heads)
    local = [name for name in moved if name.startswith(f'backbone.local_heads.{stage}.')]
    assert bool(local) != last
