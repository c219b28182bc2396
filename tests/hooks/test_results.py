import copy
import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub

import infopro_seg
from infopro_seg.evaluate import evaluate
from infopro_seg.hooks import results
from infopro_seg.hooks.results import ResultsHook, iou_results
from tests.runs import DEMO, ITERS, SIZE, VAL, load, read_png, tiny_options, train


@pytest.fixture(scope='module')
def metrics(trained):
    return json.loads((trained / 'metrics.json').read_text())


def test_the_scores_are_those_of_an_evaluation_of_the_last_checkpoint(metrics, streets, checkpoint, tmp_path):
    again = evaluate(DEMO, checkpoint, work_dir=str(tmp_path), options=tiny_options(streets, results=True))
    for key in ('mIoU', 'IoU', 'percent'):
        assert metrics[key] == again[key]
    assert metrics['percent']['mIoU'] == pytest.approx(100 * metrics['mIoU'], abs=0.006)


def test_metrics_json_tells_how_the_run_went(metrics, trained):
    history = load(trained / f'iter_{ITERS}.pth')['message_hub']['log_scalars']['train/time'].data[0]
    assert metrics['iterations'] == len(history) == ITERS
    assert metrics['seconds'] == pytest.approx(history.sum(), abs=0.06)
    assert metrics['seed'] == 0
    assert metrics['config'] == str(DEMO)
    assert metrics['versions']['infopro_seg'] == infopro_seg.__version__
    assert metrics['versions']['torch'] == torch.__version__
    assert metrics['peak_memory']['device'] == 'cpu'
    assert 2**27 < metrics['peak_memory']['resident_bytes'] < 2**34


def test_the_panel_has_a_row_per_image_and_a_column_per_picture(trained):
    """Image, ground truth, prediction, two reconstructions; legend and titles take 0.9 inches."""
    height, width = read_png(trained / 'panel.png').shape[:2]
    cell = 2.6 * 120
    assert width == pytest.approx(5 * cell, abs=1)
    assert height == pytest.approx(VAL * cell * SIZE[0] / SIZE[1] + 0.9 * 120, abs=1)


def test_the_panel_shows_what_the_averaged_weights_predict(streets, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        results, 'draw_panel', lambda model, *_: shown.append(copy.deepcopy(model.state_dict()))
    )
    monkeypatch.setattr(results, 'draw_curves', lambda *_: None)
    options = tiny_options(streets, results=True)
    options['custom_hooks'].append({'type': 'EMAHook', 'momentum': 0.5})
    options |= {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2}
    runner = train(DEMO, work_dir=str(tmp_path), options=options)
    saved, trained = load(tmp_path / 'iter_2.pth')['state_dict'], runner.model.state_dict()
    [weights] = shown
    assert all(torch.equal(weights[name], saved[name]) for name in saved)
    assert not all(torch.equal(trained[name], saved[name]) for name in saved)  # the swap is undone


def test_classes_that_are_nowhere_are_null():
    assert iou_results({'mIoU': 0.5, 'classes': {'a': 0.5, 'b': float('nan')}}, {}) == {
        'mIoU': 0.5,
        'IoU': {'a': 0.5, 'b': None},
    }
    assert iou_results(None, {}) == {'mIoU': None, 'IoU': {}}
    assert iou_results(None, {'mIoU': 25.0, 'aAcc': 50.0}) == {'mIoU': 0.25, 'IoU': {}}  # mmseg's IoUMetric
    assert iou_results(None, {'mIoU': float('nan')}) == {'mIoU': None, 'IoU': {}}


def test_the_peak_is_that_of_the_iterations(monkeypatch):
    """The highest of all iterations but the first ones, though the counter is reset in between."""
    resets, hook = [], ResultsHook()
    logged = 0  # iterations whose memory mmengine's LoggerHook has read
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'reset_peak_memory_stats', lambda: resets.append(logged))
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(), iter=0, message_hub=MessageHub('peak'))
    for runner.iter, allocated in enumerate((99, 5, 5, 5, 9, 2)):
        monkeypatch.setattr(results, 'peak_memory', lambda value=allocated: {'allocated_bytes': value})
        hook.before_train_iter(runner, 0)
        hook.after_train_iter(runner, 0)
        logged += 1
    assert resets == [3]  # after the warm-up, and after the log has shown its peak
    hook.after_val_epoch(runner, {'mIoU': 1.0})
    assert hook.peak_memory == {'allocated_bytes': 9}
    assert resets == [3, 6]  # a validation does not count


def test_the_peak_of_a_run_that_is_all_warm_up_is_kept(monkeypatch):
    hook, runner = ResultsHook(), SimpleNamespace(optim_wrapper=SimpleNamespace(), iter=0)
    monkeypatch.setattr(results, 'peak_memory', lambda: {'allocated_bytes': 7})
    for runner.iter in range(2):
        hook.before_train_iter(runner, 0)
        hook.after_train_iter(runner, 0)
    assert hook.peak_memory == {'allocated_bytes': 7}
