"""Every shipped config of a classifier takes a step, and says what the paper says."""

import math
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import FUNCTIONS, PARAM_SCHEDULERS
from mmseg.registry import MODELS

from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.config_files import find_config, load_config
from infopro_seg.models.blocks import iter_blocks, split_blocks
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.local_heads.local_head import build_local_heads, head_configs
from infopro_seg.training.checks.config_check import require_keys
from tests.classification.tiny import make_batch
from tests.runs import ROOT
from tests.stand_ins import assert_same

CONFIGS = sorted((ROOT / 'configs' / 'classification').glob('*.py'))
STEMS = {path.stem: path for path in CONFIGS}
BLOCKS = ['stem', *(f'layer{stage}.{block}' for stage in (1, 2, 3) for block in range(5))]

# of each K: recon and task of the first local head, recon and task of the last
WEIGHTS = {
    'resnet32_infopro_contrast_cifar10': {
        2: (5, 1, 5, 1),
        4: (6, 0, 1, 2),
        8: (5, 0, 0, 2),
        16: (5, 0.05, 0.2, 0.5),
    },
    'resnet110_infopro_cifar10': {
        2: (5, 0.5, 5, 0.5),
        4: (1, 0, 0, 1),
        8: (5, 0, 0, 1),
        16: (5, 0, 0.5, 1),
    },
    'resnet110_infopro_stl10': {
        2: (10, 1, 10, 1),
        4: (20, 0.2, 5, 2),
        8: (20, 0.2, 5, 1),
        16: (20, 0.5, 10, 0.1),
    },
    'resnet110_infopro_svhn': {
        2: (1, 0.1, 1, 0.1),
        4: (5, 0, 0.5, 1),
        8: (5, 0, 0.5, 2),
        16: (5, 0.2, 0.5, 1),
    },
    'resnet101_infopro_imagenet': {2: (5, 0.75, 5, 0.75)},
}
WEIGHTS['resnet32_infopro_cifar10'] = WEIGHTS['resnet32_infopro_contrast_cifar10']
SUITES = [
    ROOT / 'configs' / 'compare' / f'{name}.py'
    for name in (
        'cifar10',
        'cifar10_batch_512',
        'cifar10_full',
        'cifar10_30_epochs',
    )  # the last two with the paper's rate
]
SCHEDULES = {'cifar10': (1024, 0.8), 'svhn': (1024, 0.8), 'stl10': (128, 0.1), 'imagenet': (1024, 0.4)}


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_config_takes_a_train_step(path):
    config = Config.fromfile(str(path))
    require_keys(config)
    backbone = config.model.backbone
    if backbone.get('num_modules'):
        count = backbone.pop('num_modules')
        names = [block.name for block in iter_blocks(build_encoder({**backbone.encoder, **thin(backbone)}))]
        backbone.cuts = [names[len(names) * step // count - 1] for step in range(1, count)]
    backbone.encoder.update(thin(backbone))
    model = MODELS.build(deepcopy(config.model)).train()
    optim_wrapper = build_optim_wrapper(model, deepcopy(config.optim_wrapper))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    logs = model.train_step(make_batch(6, size=32), optim_wrapper)
    modules = {name.split('.')[0] for name in logs if name.startswith('local_')}
    assert modules == {f'local_{index}' for index in range(len(backbone.cuts))}
    assert all(math.isfinite(value) for value in logs.values())
    after = dict(model.named_parameters())
    assert [name for name, p in before.items() if (after[name] == p).all() and idle(name, model)] == []


def idle(name, model):
    """Whether a parameter that stays where it is shows a fault: weights of 0 leave some without gradient."""
    parts = name.split('.')
    if parts[1] != 'local_heads':
        return True
    head = model.backbone.local_heads[int(parts[2])]
    return {'decoder': head.decoder and head.decoder.loss_recon, 'auxiliary_head': head.auxiliary_head}[
        parts[3]
    ].loss_weight > 0


def thin(backbone):
    if backbone.encoder.type == 'CifarResNet':
        return {'depth': min(backbone.encoder.depth, 32), 'base_channels': 4}
    return {'depth': 50, 'base_channels': 4, 'stem_channels': 4}


@pytest.mark.parametrize(
    ('name', 'modules'), [(name, modules) for name in WEIGHTS for modules in WEIGHTS[name]]
)
def test_the_weights_are_the_paper_s(name, modules):
    config = Config.fromfile(str(STEMS[name]))
    assert weights_of(config.model.backbone.local_head, modules) == pytest.approx(WEIGHTS[name][modules])


@pytest.mark.parametrize('method', ['infopro', 'infopro_contrast'])
@pytest.mark.parametrize('modules', [2, 4, 8, 16])
def test_the_suite_has_the_same_weights(method, modules):
    suite = load_config(SUITES[0])
    head = run_config(suite, Run(method, modules, 0)).model.backbone.local_head
    expected = WEIGHTS['resnet32_infopro_contrast_cifar10'][modules]
    assert weights_of(head, modules) == pytest.approx(expected)
    head = run_config(suite, Run(f'{method}_constant', modules, 0)).model.backbone.local_head
    assert weights_of(head, modules) == (1, 1, 1, 1)


def test_dgl_with_a_decoder_differs_from_dgl_by_it_alone():
    suite = load_config(SUITES[0])
    configs = [run_config(suite, Run(name, 4, 0)).to_dict() for name in ('dgl', 'infopro_dgl_head')]
    heads = [config['model']['backbone'].pop('local_head') for config in configs]
    dgl, with_decoder = (build_local_heads(head, [16], ['stem'])[0] for head in heads)
    assert repr(with_decoder.auxiliary_head) == repr(dgl.auxiliary_head)
    assert with_decoder.auxiliary_head.loss_weight == dgl.auxiliary_head.loss_weight == 1
    assert (with_decoder.decoder.loss_recon.loss_weight, dgl.decoder) == (1, None)
    assert configs[0] == configs[1]


def weights_of(head, modules):
    heads = head_configs(head, modules - 1)
    return tuple(
        part.get('loss_weight', 1)
        for one in (heads[0], heads[-1])
        for part in (one['decoder']['loss_recon'], one['auxiliary_head'])
    )


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_schedule_is_the_paper_s_but_for_a_warm_up(path):
    config = Config.fromfile(str(path))
    batch, rate = SCHEDULES[path.stem.rpartition('_')[2]]
    assert config.auto_scale_lr.base_batch_size == batch
    optimizer = {'type': 'SGD', 'lr': rate, 'momentum': 0.9, 'nesterov': True, 'weight_decay': 1e-4}
    assert config.optim_wrapper.optimizer == optimizer
    *rising, falling = config.param_scheduler
    warm_up = 5 * math.ceil(50_000 / batch) if rate == 0.8 else 0  # five epochs of CIFAR-10
    expected = [('LinearLR', 0, warm_up)] if warm_up else []
    assert [(part.type, part.begin, part.end) for part in rising] == expected
    assert (falling.type, falling.begin, falling.end) == ('CosineAnnealingLR', warm_up, config.max_iters)
    assert falling.get('T_max') in (None, config.max_iters - warm_up)  # by default as long as it lasts
    assert config.train_cfg.max_iters == config.max_iters
    assert config.max_iters % config.train_cfg.val_interval == 0


@pytest.mark.parametrize('path', CONFIGS + SUITES, ids=lambda path: path.stem)
def test_workers_hand_over_a_batch_as_one_tensor(path):
    """One by one, the images of a batch of 1024 took a process longer to receive than to load."""
    config = Config.fromfile(str(path))
    batch = make_batch(4)
    images = [{'inputs': x, 'data_samples': y} for x, y in zip(*batch.values(), strict=True)]
    preprocessor = MODELS.build(deepcopy(config.model.data_preprocessor))
    expected = preprocessor(pseudo_collate(deepcopy(images)), training=True)
    for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
        collated = FUNCTIONS.get(loader.collate_fn.type)(deepcopy(images))
        assert_same(collated['inputs'], torch.stack([image['inputs'] for image in images]))
        found = preprocessor(collated, training=True)
        assert_same(found['inputs'], expected['inputs'])
        labels = [[sample.gt_label.tolist() for sample in data['data_samples']] for data in (found, expected)]
        assert labels[0] == labels[1]


@pytest.mark.parametrize('path', [STEMS['resnet32_e2e_cifar10'], *SUITES[2:]], ids=lambda path: path.stem)
def test_the_rate_rises_for_five_epochs_and_falls_as_a_cosine(path):
    config = Config.fromfile(str(path))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=config.optim_wrapper.optimizer.lr)
    schedules = [
        PARAM_SCHEDULERS.build(part, default_args={'optimizer': optimizer}) for part in config.param_scheduler
    ]
    rates = []
    optimizer.step()
    for _ in range(config.max_iters):
        rates.append(optimizer.param_groups[0]['lr'])
        for schedule in schedules:
            schedule.step()
    warm_up = 5 * math.ceil(50_000 / config.train_dataloader.batch_size)
    assert rates[0] == pytest.approx(0.008)
    steps = range(warm_up, config.max_iters)
    cosine = [(1 + math.cos(math.pi * (k - warm_up) / (config.max_iters - warm_up))) / 2 for k in steps]
    assert rates[warm_up:] == pytest.approx([0.8 * share for share in cosine], abs=1e-6)
    assert all(0 < after - before < 0.8 / 100 for before, after in pairwise(rates[:warm_up]))


def test_the_suite_with_batches_of_512_changes_nothing_else():
    suite, other = (Config.fromfile(str(path)).to_dict() for path in SUITES[:2])
    assert other['train_dataloader'].pop('batch_size') == 4 * suite['train_dataloader'].pop('batch_size')
    assert other == suite


def test_sixteen_modules_are_cut_after_every_block_but_the_last():
    names = [name for name in STEMS if name.startswith('resnet32') and 'e2e' not in name]
    assert len(names) == 4
    for name in names:
        assert list(Config.fromfile(str(STEMS[name])).model.backbone.cuts) == BLOCKS[:-1]


def test_the_suite_cuts_as_the_paper_does():
    suite = Config.fromfile(str(ROOT / 'configs' / 'compare' / 'cifar10.py'))
    encoder = build_encoder({**suite.model.backbone.encoder, 'base_channels': 1})
    assert [len(split_blocks(encoder, cuts)) for cuts in suite.comparison.cuts] == [2, 4, 8, 16]
    assert suite.comparison.cuts[-1] == BLOCKS[:-1]
    assert suite.comparison.cuts[1] == ['layer1.2', 'layer2.1', 'layer3.0']


def test_configs_are_found_by_name():
    assert find_config('classification/resnet32_e2e_cifar10') == STEMS['resnet32_e2e_cifar10']
