"""Asynchronous training as a user runs it: all stages in turn, one alone, stopped and continued."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import infopro_seg
from infopro_seg.config_files import load_config
from infopro_seg.evaluate import evaluate
from infopro_seg.export import export
from infopro_seg.training.launch import train
from infopro_seg.training.turns import turns_of
from tests.runs import DEMO, SIGINT, hooks, images, load, tiny_options, write_config
from tests.stand_ins import assert_same
from tests.test_tools import call

LENGTHS = (2, 4, 2)  # iterations of each stage
PARTS = (  # of the demo's encoder, in the modules with a local head
    ('stem', 'layer1'),
    ('layer2', 'layer3.0'),
)


def tiny_stages(streets, **more):
    schedule = {'type': 'PolyLR', 'eta_min': 1e-3, 'end': LENGTHS[1], 'by_epoch': False}
    return {
        **tiny_options(streets, results=True),
        'train_cfg.max_iters': LENGTHS[0],
        'train_cfg.val_interval': LENGTHS[0],
        'default_hooks.checkpoint.interval': 2,
        'stages': [
            {},
            {'train_cfg': {'max_iters': LENGTHS[1]}, 'param_scheduler': [schedule]},
            {'optim_wrapper': {'optimizer': {'lr': 0.02}}},
        ],
        **more,
    }


def final(folder, stage):
    return Path(folder) / f'stage_{stage}' / f'iter_{LENGTHS[stage]}.pth'


def module_keys(stage, keys):
    """Which keys of a state dict belong to a stage's module, by name."""
    early = [
        (*(f'backbone.{part}.' for part in parts), f'backbone.local_heads.{index}.')
        for index, parts in enumerate(PARTS)
    ]
    if stage < len(early):
        return {key for key in keys if key.startswith(early[stage])}
    return {key for key in keys if not key.startswith((*early[0], *early[1]))}


@pytest.fixture(scope='module')
def config(streets, tmp_path_factory):
    return write_config(tmp_path_factory.mktemp('config') / 'tiny.py', tiny_stages(streets))


@pytest.fixture(scope='module')
def staged(config, tmp_path_factory):
    """The work dir of an asynchronous training by the command, uninterrupted."""
    folder = tmp_path_factory.mktemp('staged')
    with pytest.MonkeyPatch.context() as patch:
        assert call('train.py', config, '--work-dir', folder, monkeypatch=patch) == 0
    return folder


def test_each_stage_changes_its_own_module_and_nothing_else(staged):
    """Bit for bit: weights, BN statistics and their counters."""
    for stage in (1, 2):
        before, after = (load(final(staged, number))['state_dict'] for number in (stage - 1, stage))
        mine = module_keys(stage, after)
        assert 0 < len(mine) < len(after)
        changed = {key for key in after if not torch.equal(before[key], after[key])}
        assert changed == mine


def test_a_stage_s_optimizer_and_schedule_are_its_own(staged):
    for stage, rate in enumerate((0.05, 0.05, 0.02)):
        content = load(final(staged, stage))
        assert content['meta']['iter'] == LENGTHS[stage]
        assert content['optimizer']['param_groups'][0]['initial_lr'] == rate
        [schedule] = content['param_schedulers']
        assert schedule['end'] == (LENGTHS[1] if stage == 1 else 6)
        buffers = ('running_mean', 'running_var', 'num_batches_tracked')
        trained = [k for k in module_keys(stage, content['state_dict']) if not k.endswith(buffers)]
        assert len(content['optimizer']['state']) == len(trained)


def test_only_the_last_stage_validates(staged):
    results = [json.loads((staged / f'stage_{k}' / 'metrics.json').read_text()) for k in range(3)]
    assert [result['iterations'] for result in results] == list(LENGTHS)
    assert [result['mIoU'] is None for result in results] == [True, True, False]
    assert [(staged / f'stage_{k}' / 'panel.png').is_file() for k in range(3)] == [False, False, True]


def test_the_last_checkpoint_is_that_of_an_ordinary_network(staged, config, streets, tmp_path):
    results = evaluate(config, final(staged, 2), work_dir=str(tmp_path))
    written = json.loads((staged / 'stage_2' / 'metrics.json').read_text())
    assert results['mIoU'] == written['mIoU']
    network = infopro_seg.load(staged / 'stage_2', final(staged, 2))
    assert network.predict(images(streets, 'val')[0]).shape == (64, 128)
    exported = export(final(staged, 2), tmp_path / 'plain.pth')  # which compares the logits
    stock = load_config(exported)
    assert not {'stages', 'weights_before'} & set(stock.to_dict())
    assert stock.model.backbone.type == 'ResNetV1c'


def test_finished_stages_are_not_trained_again(staged, config):
    written = [final(staged, stage).stat().st_mtime_ns for stage in range(3)]
    runner = train(config, work_dir=str(staged))
    assert runner.iter == LENGTHS[2]
    assert [final(staged, stage).stat().st_mtime_ns for stage in range(3)] == written


def test_a_stopped_stage_continues_as_if_it_had_not_been(staged, config, tmp_path):
    (tmp_path / 'stage_0').mkdir()
    shutil.copy(final(staged, 0), tmp_path / 'stage_0')
    (tmp_path / 'stage_0' / 'last_checkpoint').write_text(str(final(staged, 0)))
    stop = {'custom_hooks': hooks({'type': 'SignalHook', 'iteration': 3, 'number': SIGINT})}
    assert train(config, work_dir=str(tmp_path), stage=1, options=stop).iter == 3
    assert train(config, work_dir=str(tmp_path), resume=True).iter == LENGTHS[2]
    for stage in (1, 2):
        actual, expected = (load(final(folder, stage)) for folder in (tmp_path, staged))
        assert_same(dict(actual['state_dict']), dict(expected['state_dict']))
        assert_same(actual['optimizer']['state'], expected['optimizer']['state'])


def test_balanced_cuts_are_found_once_and_kept(streets, tmp_path):
    options = {**tiny_options(streets), 'model.backbone.num_modules': 2, 'stages': [{}, {}]}
    runner = train(DEMO, work_dir=str(tmp_path), options={**options, 'train_cfg.max_iters': 1}, stage=0)
    [cut] = runner.model.backbone.cuts
    cfg = load_config(DEMO, {**options, 'train_cfg.max_iters': 1})
    cfg.work_dir = str(tmp_path)
    [(part, _)] = turns_of(cfg, 1)
    assert (list(part.model.backbone.cuts), part.model.backbone.num_modules) == ([cut], None)


def test_the_command_line_wins_over_a_stage(streets, tmp_path):
    cfg = load_config(DEMO, {**tiny_options(streets), 'stages': [{'train_cfg': {'max_iters': 9}}, {}, {}]})
    cfg.work_dir = str(tmp_path)
    lengths = [
        next(turns_of(cfg, options=options))[0].train_cfg.max_iters
        for options in (None, {'train_cfg.max_iters': 5})
    ]
    assert lengths == [9, 5]
