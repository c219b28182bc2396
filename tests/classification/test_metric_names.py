"""The metrics of a classifier are known before it trains."""

import pytest
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy, SingleLabelMetric
from mmpretrain.structures import DataSample

from infopro_seg.comparison.setting import require_metric
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.metric_names import metric_names
from infopro_seg.training.launch import train
from tests.classification.made import write_config, write_npz
from tests.runs import ROOT

METRICS = [
    Accuracy(),
    Accuracy(topk=(1, 3), prefix='mine'),
    Accuracy(thrs=(0.0, 0.5, None)),
    SingleLabelMetric(),
    SingleLabelMetric(average=None, items=('precision', 'support')),
]


@pytest.mark.parametrize('metric', METRICS, ids=range(len(METRICS)))
def test_the_names_are_those_of_an_evaluation(metric):
    evaluator = Evaluator(metric)
    names = metric_names(evaluator, num_classes=4)
    assert metric.results == []
    samples = [DataSample().set_gt_label(k % 4).set_pred_score([0.1, 0.2, 0.3, 0.4]) for k in range(5)]
    evaluator.process(samples)
    assert names == set(evaluator.evaluate(5))


def test_what_a_metric_asserts_is_told():
    with pytest.raises(ConfigError, match=r'SingleLabelMetric in val_evaluator .*Invalid .average. argument'):
        metric_names(Evaluator(SingleLabelMetric(average='makro')), num_classes=4)


def test_a_metric_of_the_users_own_is_not_judged():
    class Own(Accuracy):
        def compute_metrics(self, results):
            return {'own': 1.0}

    assert metric_names(Evaluator(Own()), num_classes=4) is None


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'val_evaluator.topk': (1, 5)}, 'Accuracy in val_evaluator .*Top-5 accuracy is unavailable'),
        (
            {'default_hooks.checkpoint.save_best': 'acuracy/top1'},
            "save_best='acuracy/top1' of .* accuracy/top1, accuracy/top2; did you mean accuracy/top1",
        ),
    ],
    ids=['topk', 'save_best'],
)
def test_what_would_end_the_first_validation_is_refused_before_training(tmp_path, changes, words):
    config = write_config(tmp_path / 'config.py', write_npz(tmp_path / 'made.npz'))
    with pytest.raises(ConfigError, match=words):
        train(config, work_dir=str(tmp_path / 'run'), options=changes)
    assert not list(tmp_path.glob('run/**/*.pth'))


@pytest.mark.parametrize('name', ['cifar10', 'cifar10_full'])
def test_the_suites_compare_what_is_reported(name):
    path = ROOT / 'configs' / 'compare' / f'{name}.py'
    suite = load_config(path)
    require_metric(suite, path)
    suite.comparison.metric = 'accuracy/top2'
    with pytest.raises(
        ConfigError, match=r"metric='accuracy/top2' of .* reports accuracy/top1, accuracy/top5"
    ):
        require_metric(suite, path)
