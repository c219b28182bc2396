"""What a suite must have, and the setting that its results note."""

from pathlib import Path

import pytest
from mmengine.config import Config

from infopro_seg.comparison.command import CompareRequest, compare
from infopro_seg.comparison.setting import require_metric, require_suite, setting_of
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from tests.runs import ROOT

SMOKE = ROOT / 'configs' / 'compare' / 'smoke.py'
OTHERS = ('methods', 'cifar10')  # no suites, and those of classifiers, which need mmpretrain
SUITES = [path.stem for path in SMOKE.parent.glob('*.py') if not path.stem.startswith(OTHERS)]


@pytest.mark.parametrize('suite', SUITES)
def test_the_shipped_suites_are_taken(suite):
    path = SMOKE.with_name(f'{suite}.py')
    cfg = load_config(path)
    require_suite(cfg, path)
    require_metric(cfg, path)
    assert setting_of(cfg, path)['crop'] == list(cfg.crop_size)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (lambda cfg: cfg.comparison.pop('seeds'), "lacks 'seeds'"),
        (lambda cfg: cfg.comparison.update(metrik='mAcc'), 'comparison.metrik.*did you mean metric'),
        (lambda cfg: cfg.comparison.runs.update(gredy=(4,)), "unknown method 'gredy'; choose from"),
        (
            lambda cfg: cfg.comparison.update(runs={'e2e': 1}),
            r"runs=.*'e2e': 1, .* of .*; write e\.g\. runs=dict",
        ),
        (lambda cfg: cfg.comparison.update(runs=['e2e']), r"runs=\['e2e'\] of"),
        (lambda cfg: cfg.comparison.update(seeds=0), r'seeds=0 of .*; write e\.g\. seeds=\(0, 1, 2\)'),
        (
            lambda cfg: cfg.comparison.update(cuts='balance'),
            "cuts='balance' of .* cuts='balanced', 'even' or",
        ),
        (lambda cfg: cfg.comparison.update(cuts=['layer2.0']), r"cuts=\['layer2.0'\] of"),
        (lambda cfg: cfg.update(data_root=None), 'lacks data_root'),
        (lambda cfg: cfg.train_cfg.pop('max_iters'), 'lacks max_iters'),
    ],
    ids=['seeds', 'misspelt', 'method', 'number', 'list', 'seed', 'cuts', 'flat', 'data_root', 'epochs'],
)
def test_a_suite_that_lacks_something_is_named(change, words):
    cfg = load_config(SMOKE)
    change(cfg)
    with pytest.raises(ConfigError, match=words):
        require_suite(cfg, SMOKE)


@pytest.mark.parametrize('split', ['val', 'test'])
def test_a_metric_that_the_evaluation_does_not_report_is_named_before_the_trainings(split, tmp_path):
    wrong = tmp_path / 'wrong.py'
    wrong.write_text(f"_base_ = {str(SMOKE)!r}\ncomparison = dict(metric='mIuo')\n")
    if split == 'test':
        wrong.write_text(
            f"{wrong.read_text()}custom_hooks = [dict(type='ResultsHook', split='test')]\n"
            "test_evaluator = dict(type='ClassIoUMetric', iou_metrics=['mDice'])\n"
        )
    request = CompareRequest(wrong, tmp_path / 'out')
    reported = {'val': 'aAcc, mAcc, mIoU; did you mean mIoU', 'test': 'aAcc, mAcc, mDice'}[split]
    words = f"comparison.metric='mIuo' of .*wrong.py, but {split}_evaluator reports {reported}"
    with pytest.raises(ConfigError, match=words):
        compare(request, lambda line: None)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'evaluator',
    [
        {'type': 'Evaluator', 'metrics': {'type': 'ClassIoUMetric', 'iou_metrics': ['mIoU']}},
        {'type': 'ClassIouMetric'},
        {'type': 'ClassIoUMetric', 'iou_metric': ['mIoU']},
        None,
    ],
    ids=['whole', 'misspelt', 'argument', 'none'],
)
def test_an_evaluator_that_is_not_built_here_is_left_to_the_trainings(evaluator):
    cfg = load_config(SMOKE)
    cfg.val_evaluator = evaluator
    require_metric(cfg, SMOKE)
    cfg.pop('val_evaluator')
    require_metric(cfg, SMOKE)


def test_seeds_may_be_a_range():
    cfg = load_config(SMOKE)
    cfg.comparison.seeds = range(3)
    require_suite(cfg, SMOKE)


@pytest.mark.parametrize(
    ('datasets', 'expected'),
    [
        ([{'data_root': 'there'}, {'data_file': 'made.npz'}], 'there, made.npz'),
        ([{'data_root': None}, {'data_file': 'made.npz'}, {'data_file': 'made.npz'}], 'made.npz'),
        ([{}], None),
    ],
)
def test_data_are_named_by_folder_or_file(datasets, expected):
    joined = {'type': 'ConcatDataset', 'datasets': [{'type': 'Own', **dataset} for dataset in datasets]}
    cfg = Config(
        {
            'model': {'data_preprocessor': {'size': (32, 64)}},
            'train_dataloader': {'batch_size': 2, 'dataset': joined},
            'train_cfg': {'max_iters': 3},
            'comparison': {},
        }
    )
    assert setting_of(cfg, Path('own.py'))['data'] == expected


def test_crop_and_data_are_found_where_a_suite_has_no_variables_for_them():
    cfg = Config(
        {
            'model': {'data_preprocessor': {'size': (32, 64)}},
            'train_dataloader': {'batch_size': 2, 'dataset': {'type': 'Own', 'data_root': 'there'}},
            'train_cfg': {'max_iters': 3},
            'comparison': {},
        }
    )
    assert setting_of(cfg, Path('own.py')) == {
        'suite': 'own', 'data': 'there', 'crop': [32, 64], 'batch': 2, 'iterations': 3,
    }  # fmt: skip
