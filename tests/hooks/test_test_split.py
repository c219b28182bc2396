"""Results of the test split, evaluated once at the end of a training."""

import json

import pytest

from infopro_seg.errors import ConfigError, DataError
from infopro_seg.evaluate import evaluate
from infopro_seg.hooks.results import ResultsHook
from tests import runs


def test_the_results_are_those_of_the_test_images(streets, tmp_path):
    options = runs.tiny_options(streets, results=True)
    options['custom_hooks'][-1]['split'] = 'test'
    options |= {'train_cfg.max_iters': 1, 'train_cfg.val_interval': 1, 'test_dataloader.dataset.indices': [2]}
    options['default_hooks.checkpoint.interval'] = 1
    runs.train(runs.DEMO, work_dir=str(tmp_path / 'run'), options=options)
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
    checkpoint = tmp_path / 'run' / 'iter_1.pth'

    def again(name, **more):
        return evaluate(runs.DEMO, checkpoint, work_dir=str(tmp_path / name), options={**options, **more})

    one, all_of_val = again('one'), again('all', **{'test_dataloader.dataset.indices': None})
    assert (metrics['mIoU'], metrics['IoU']) == (one['mIoU'], one['IoU'])
    assert metrics['IoU'] != all_of_val['IoU']
    [scalars] = (tmp_path / 'run').glob('*/vis_data/scalars.json')
    curve = [entry for line in scalars.read_text().splitlines() if 'mIoU' in (entry := json.loads(line))]
    assert [entry['mIoU'] for entry in curve] == [
        pytest.approx(all_of_val['percent']['mIoU'])
    ]  # watched on val


def test_they_need_no_validation(streets, tmp_path):
    options = runs.tiny_options(streets, custom_hooks=runs.hooks({'type': 'ResultsHook', 'split': 'test'}))
    options['train_cfg.max_iters'] = 1
    runs.train(runs.DEMO, work_dir=str(tmp_path), options=options)
    assert json.loads((tmp_path / 'metrics.json').read_text())['mIoU'] is not None


def test_another_split_is_refused():
    with pytest.raises(ConfigError, match="split='train'; choose from val, test"):
        ResultsHook(split='train')


def test_a_missing_test_split_is_named_before_the_training(streets, tmp_path):
    options = runs.tiny_options(streets, results=True)
    options['custom_hooks'][-1]['split'] = 'test'
    options['test_dataloader.dataset.data_root'] = str(tmp_path / 'none')
    with pytest.raises(DataError, match='the test data is missing'):
        runs.train(runs.DEMO, work_dir=str(tmp_path / 'run'), options=options)
