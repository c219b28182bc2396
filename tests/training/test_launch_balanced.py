"""A config with `num_modules` is trained, resumed and evaluated with balanced cuts."""

import pytest
import torch
from mmengine.logging import MMLogger
from mmseg.registry import MODELS

from infopro_seg.checkpoints import config_of
from infopro_seg.config_files import load_config
from infopro_seg.evaluate import evaluate
from infopro_seg.memory import resolve_cuts
from infopro_seg.models import iter_blocks
from infopro_seg.training.launch import train
from tests.runs import DEMO, load, tiny_options, write_config
from tests.training.test_launch import one_iteration


def balanced(streets, folder, **arguments):
    """A run of one more iteration with `num_modules` in place of cuts."""
    options = {'model.backbone.num_modules': 2, 'train_cfg.max_iters': arguments.pop('max_iters', 1)}
    return one_iteration(streets, folder, options, **arguments)


@pytest.fixture(scope='module')
def balanced_run(streets, tmp_path_factory):
    """The work dir of such a run, and its cuts."""
    folder = tmp_path_factory.mktemp('balanced')
    return folder, balanced(streets, folder).model.backbone.cuts


def test_num_modules_becomes_the_balanced_cuts_in_every_config_that_is_written(streets, balanced_run):
    folder, cuts = balanced_run
    config = load_config(DEMO, {**tiny_options(streets), 'model.backbone.num_modules': 2})
    assert cuts == resolve_cuts(config).model.backbone.cuts
    assert len(cuts) == 1
    dumped = load_config(next(folder.glob('*.py'))).model.backbone
    in_checkpoint = config_of(load(folder / 'iter_1.pth'), 'it').model.backbone
    assert tuple(dumped.cuts) == tuple(in_checkpoint.cuts) == cuts
    assert dumped.get('num_modules') is in_checkpoint.get('num_modules') is None


def test_resuming_keeps_the_cuts_that_were_balanced_for_the_run(streets, balanced_run, tmp_path):
    checkpoint = load(balanced_run[0] / 'iter_1.pth')
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_1.pth'))
    cfg = config_of(checkpoint, 'it')
    blocks = iter_blocks(MODELS.build(cfg.model.backbone.encoder))
    other = next(block.name for block in blocks if block.name not in balanced_run[1])
    cfg.model.backbone.cuts = (other,)
    checkpoint['meta']['cfg'] = cfg.pretty_text
    heads = [key for key in checkpoint['state_dict'] if '.local_heads.' in key]
    model = MODELS.build(cfg.model)
    checkpoint['state_dict'].update({key: model.state_dict()[key] for key in heads})
    checkpoint['optimizer']['state'] = {}
    torch.save(checkpoint, tmp_path / 'iter_1.pth')
    assert balanced(streets, tmp_path, max_iters=2, resume=True).model.backbone.cuts == (other,)


@pytest.mark.parametrize('changes', [{}, {'model.backbone.cuts': ()}], ids=['cuts', 'no cuts'])
def test_cuts_of_the_config_that_a_number_of_modules_replaces_are_named(
    streets, tmp_path, monkeypatch, changes
):
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    options = {**tiny_options(streets), 'train_cfg.max_iters': 1, **changes}
    train(DEMO, work_dir=str(tmp_path), options={**options, 'model.backbone.num_modules': 2})
    cuts = tuple(load_config(DEMO).model.backbone.cuts)
    replaced = [line for line in said if 'replaces the cuts' in line]
    assert bool(replaced) == (not changes)
    assert all(f'num_modules=2 replaces the cuts {cuts} of the config' in line for line in replaced)
    assert len(replaced) < 2


def test_a_number_of_modules_in_a_config_replaces_its_cuts_silently(streets, tmp_path, monkeypatch):
    said = []
    options = {**tiny_options(streets), 'train_cfg.max_iters': 1, 'model.backbone.num_modules': 2}
    config = write_config(tmp_path / 'tiny.py', options)
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    train(config, work_dir=str(tmp_path / 'run'))
    assert not [line for line in said if 'replaces the cuts' in line]


def test_a_config_with_num_modules_evaluates_and_predicts(streets, balanced_run, tmp_path):
    checkpoint = balanced_run[0] / 'iter_1.pth'
    options = {**tiny_options(streets), 'model.backbone.num_modules': 2}
    options['test_dataloader.dataset.data_root'] = str(streets)
    results = evaluate(DEMO, checkpoint, work_dir=str(tmp_path), options=options)
    stock = evaluate(
        DEMO,
        checkpoint,
        work_dir=str(tmp_path),
        options={**options, 'model.backbone.num_modules': None, 'model.backbone.cuts': ()},
    )
    assert results['IoU'] == stock['IoU']
