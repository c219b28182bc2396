"""Numbers before pictures, and every validation, also after a resume."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub

from infopro_seg.evaluation.validations import validations_of
from infopro_seg.hooks import results
from infopro_seg.hooks.reconstructions import ReconstructionHook
from infopro_seg.hooks.results import ResultsHook
from tests.runs import ITERS, STOPPED, load, read_png, train_tiny
from tests.stand_ins import build, make_batch, model_config


def read(folder):
    return json.loads((folder / 'metrics.json').read_text(), parse_constant=lambda name: pytest.fail(name))


def test_every_validation_is_kept_and_the_curves_are_drawn(trained):
    metrics = read(trained)
    assert list(metrics['validations']) == [str(STOPPED), str(ITERS)]
    assert metrics['validations'][str(ITERS)] == metrics['percent']
    assert read_png(trained / 'curves.png').shape[:2] == (806, 1404)  # four panels
    known = validations_of(load(trained / f'iter_{ITERS}.pth'))
    assert known[str(STOPPED)] == metrics['validations'][str(STOPPED)]


def test_a_resumed_run_has_validations_and_curves_of_all_of_it(streets, trained, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(results, 'draw_curves', lambda log, path: drawn.append(log))
    monkeypatch.setattr(results, 'draw_panel', lambda *args: None)
    torch.save(load(trained / f'iter_{STOPPED}.pth'), tmp_path / 'start.pth')
    options = {'train_cfg.val_interval': 1, 'results': True}
    train_tiny(streets, tmp_path / 'run', resume=str(tmp_path / 'start.pth'), **options)
    found, whole = read(tmp_path / 'run')['validations'], read(trained)['validations']
    assert {*found, str(STOPPED)} == {str(step) for step in range(STOPPED, ITERS + 1)}
    assert found[str(ITERS)] == whole[str(ITERS)]
    [log] = drawn
    steps = list(range(1, ITERS + 1))
    assert log.rate.iterations.tolist() == steps
    assert [series.iterations.tolist() for series in log.tasks.values()] == [steps] * 3
    history = load(trained / f'iter_{ITERS}.pth')['message_hub']['log_scalars']
    for name in ('local_0', 'local_1'):
        expected = history[f'train/{name}.loss_ce'].data[0]
        assert log.tasks[f'module {name[-1]}'].values == pytest.approx(expected)


def test_a_reconstruction_that_cannot_be_shown_does_not_end_the_training():
    model, told = build(model_config(), double=False), []

    def fail(*args):
        raise OSError(28, 'No space left on device')

    runner = SimpleNamespace(model=model, iter=0, rank=0, visualizer=SimpleNamespace(add_image=fail))
    runner.logger = SimpleNamespace(warning=told.append)
    ReconstructionHook(interval=1).after_train_iter(runner, 0, make_batch())
    assert model.training
    [text] = told
    assert text.startswith('image_and_reconstructions could not be drawn (OSError: ')


def test_pictures_that_cannot_be_drawn_cost_neither_the_numbers_nor_the_run(
    streets, trained, tmp_path, monkeypatch
):
    def fail(*args):
        assert (tmp_path / 'metrics.json').is_file()  # they are there already
        raise ValueError('no colour')

    monkeypatch.setattr(results, 'draw_curves', fail)
    monkeypatch.setattr(results, 'draw_panel', fail)
    told = []
    monkeypatch.setattr('logging.Logger.warning', lambda logger, text, *args: told.append(str(text)))
    resumed = str(trained / f'iter_{STOPPED}.pth')
    runner = train_tiny(streets, tmp_path, resume=resumed, results=True)
    assert runner.iter == ITERS
    assert read(tmp_path)['iterations'] == ITERS
    for name in ('curves', 'panel'):
        assert f'{tmp_path}/{name}.png could not be drawn (ValueError: no colour)' in ' '.join(told)
    assert not list(tmp_path.glob('*.png'))


def test_metrics_of_any_kind_and_a_run_without_a_timer_leave_their_numbers(tmp_path):
    hub = MessageHub('without_a_timer')
    runner = SimpleNamespace(message_hub=hub, iter=7, seed=3, cfg=Config({}))
    hook = ResultsHook()
    hook.after_val_epoch(runner, {'mIoU': torch.tensor(50.0), 'confusion': [[1, 2], [3, 4]], 'worst': 'b'})
    found = hook._results(runner)
    assert found['percent'] == found['validations']['7'] == {'mIoU': 50.0}
    assert found['seconds'] is None
