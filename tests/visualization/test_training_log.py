import numpy as np
import pytest
from mmengine.logging import MessageHub

from infopro_seg.evaluation.validations import add_validation
from infopro_seg.visualization.curves import draw_curves, smooth, spread
from infopro_seg.visualization.training_log import Series, TrainingLog, read_log
from tests.runs import read_png


@pytest.fixture
def hub():
    return MessageHub(f'hub {np.random.default_rng().integers(2**62)}')


def log_losses(hub, steps, names):
    for step in steps:
        for position, name in enumerate(names):
            hub.update_scalar(f'train/{name}', 10.0 * position + step)


NAMES = ['local_0.loss_recon', 'local_0.loss_ce', 'local_10.loss_ce', 'local_2.loss_ce', 'decode.loss_ce']


def test_losses_are_added_up_for_each_module_in_its_order(hub):
    log_losses(hub, range(3), [*NAMES, 'aux.loss_ce', 'local_0.acc_seg', 'loss', 'lr', 'base_lr', 'time'])
    log = read_log(hub, 3)
    assert list(log.tasks) == ['module 0', 'module 2', 'module 10', 'module 11, heads']
    assert list(log.reconstructions) == ['module 0']
    assert log.tasks['module 10'].values.tolist() == [20, 21, 22]
    assert log.tasks['module 11, heads'].values.tolist() == [90, 92, 94]  # of both heads
    assert log.reconstructions['module 0'].values.tolist() == [0, 1, 2]
    assert log.rate.values.tolist() == [80, 81, 82]
    assert log.rate.iterations.tolist() == [1, 2, 3]
    assert log.validations is None


def test_a_log_that_is_shorter_than_the_run_is_of_its_end(hub):
    log_losses(hub, range(2), ['loss_ce'])
    assert read_log(hub, 5).tasks['heads'].iterations.tolist() == [4, 5]


def test_validations_come_in_order_and_a_repeated_one_counts_once(hub):
    for step, value in ((20, 3.0), (10, 2.0), (20, 4.0)):
        add_validation(hub, step, {'aAcc': 90.0, 'mIoU': value, 'note': 'text'})
    log = read_log(hub, 20)
    assert (log.metric, log.validations.iterations.tolist()) == ('mIoU', [10, 20])
    assert log.validations.values.tolist() == [2, 4]


def test_another_metric_stands_in_for_miou(hub):
    add_validation(hub, 10, {'aAcc': 90.0, 'mDice': 50.0})
    assert read_log(hub, 20).metric == 'mDice'


def test_smoothing_is_the_mean_of_stretches_without_what_is_no_number():
    series = Series(np.arange(1, 9), np.array([1, 3, 5, np.nan, np.inf, np.nan, 7, 9]))
    smoothed = smooth(series, 4)
    assert smoothed.iterations.tolist() == [1.5, 3.5, 5.5, 7.5]
    np.testing.assert_array_equal(smoothed.values, [2, 5, np.nan, 8])
    assert smooth(series, 100).values.tolist()[:3] == [1, 3, 5]


@pytest.mark.parametrize(
    ('places', 'expected'),
    [
        ([0.2, 0.5, 0.8], [0.2, 0.5, 0.8]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.3, 0.38], [0.29, 0.39]),
        ([0.0, 0.0, 0.3], [0.0, 0.1, 0.3]),
        ([0.9, 1.0, 1.4], [0.8, 0.9, 1.0]),
        ([0.4, 0.45, 0.52], [0.3567, 0.4567, 0.5567]),
    ],
)
def test_names_are_moved_apart_as_little_as_needed(places, expected):
    assert spread(places, 0.1) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize('recon', [False, True])
@pytest.mark.parametrize('validations', [0, 1, 3])
def test_there_is_a_panel_for_all_that_there_is(tmp_path, recon, validations):
    steps = np.arange(1, 5)
    series = Series(steps, np.array([3.0, np.nan, 0.1, 0.1]))
    log = TrainingLog(4, {'module 0': series, 'heads': series}, {'module 0': series} if recon else {}, series)
    if validations:
        log.validations = Series(steps[:validations], np.full(validations, 50.0))
    draw_curves(log, tmp_path / 'curves.png')
    height, width = read_png(tmp_path / 'curves.png').shape[:2]
    columns, rows = {2: (2, 1), 3: (3, 1), 4: (2, 2)}[2 + recon + (validations > 0)]
    assert (width, height) == (round(5.4 * 130) * columns, round(3.1 * 130) * rows)


def test_a_run_that_has_logged_nothing_has_no_curves(tmp_path):
    draw_curves(TrainingLog(4), tmp_path / 'curves.png')
    assert list(tmp_path.iterdir()) == []
