"""Results of trainings elsewhere, and what the networks of a comparison make of the same images."""

import json

import pytest
import torch
from matplotlib.figure import Figure
from mmengine.config import Config

from infopro_seg.comparison.joining import joined, read_results
from infopro_seg.comparison.panel import runs_shown
from infopro_seg.comparison.suite import Run
from infopro_seg.errors import DataError
from infopro_seg.visualization import panel
from tests.stand_ins import CUTS, SIZE, build, local_head_config, model_config
from tests.test_pictures import PALETTE, assert_shown, one_image

SETTING = {'suite': 'cpu', 'data': {'size': (64, 128)}, 'crop': [64, 64], 'batch': 2, 'iterations': 3}


def run(method, modules=1, seed=0, miou=0.5):
    return {'method': method, 'modules': modules, 'seed': seed, 'mIoU': miou}


def test_runs_of_two_folders_are_joined_in_the_order_of_the_methods():
    own = [run('e2e', seed=1), run('greedy', 2)]
    others = [run('greedy', 2, miou=0.9), run('infopro', 4), run('e2e'), run('infopro', 2, seed=1)]
    expected = [
        run('e2e'), run('e2e', seed=1), run('infopro', 2, seed=1), run('infopro', 4), run('greedy', 2),
    ]  # fmt: skip
    assert joined(own, others, ['e2e', 'infopro', 'greedy']) == expected


def whole(**changes):
    of_all = {'stages': 1, 'IoU': {}, 'seconds_per_iteration': None, 'date': '2026-01-01', 'versions': {}}
    memory = {'traced': {'peak_bytes': 1, 'flops': 1}, 'measured': {'device': 'cpu'}}
    return {**run('e2e'), **of_all, **memory, 'curve': [[1, 0.5]], **changes}


def test_results_of_elsewhere_are_read_with_their_setting(tmp_path):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps({'setting': SETTING | {'device': 'cpu'}, 'runs': [whole()]}))
    assert read_results(path, SETTING, 'mIoU') == [whole()]
    with pytest.raises(DataError, match='iterations 3 instead of 4'):
        read_results(path, SETTING | {'iterations': 4}, 'mIoU')


@pytest.mark.parametrize(
    'changes',
    [{'seed': '0'}, {'traced': {}}, {'measured': {}}, {'curve': [1]}, {'mIoU': '50 %'}, {'IoU': None}],
    ids=str,
)
def test_a_run_that_no_comparison_has_written_is_named(tmp_path, changes):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps({'setting': SETTING, 'runs': [whole(), whole(**changes)]}))
    [key] = changes
    with pytest.raises(DataError, match=rf'--with .*: run 1 of it has {key}='):
        read_results(path, SETTING, 'mIoU')


def test_a_run_without_the_metric_of_the_suite_is_named(tmp_path):
    path = tmp_path / 'results.json'
    path.write_text(json.dumps({'setting': SETTING, 'runs': [whole()]}))
    with pytest.raises(DataError, match='run 0 of it lacks accuracy/top1, unlike'):
        read_results(path, SETTING, 'accuracy/top1')


NO_RESULTS = ['[]', '{"setting": {}}', '{"setting": ["a"], "runs": []}', '{"setting": null, "runs": []}']
NO_RUNS = ['{"setting": {}, "runs": 5}', '{"setting": {}, "runs": [5]}']


@pytest.mark.parametrize('text', [None, 'no json', *NO_RESULTS, *NO_RUNS], ids=str)
def test_a_file_without_results_is_an_error(tmp_path, text):
    path = tmp_path / 'results.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=r'--with .*results\.json: no results\.json of a comparison'):
        read_results(path, SETTING, 'mIoU')


def test_the_panel_shows_the_first_seed_that_has_all_runs_with_their_checkpoints(tmp_path):
    suite = Config({'comparison': {'panel': {'e2e': 1, 'infopro': 4}}})
    finished = [Run('e2e', 1, 0), Run('e2e', 1, 1), Run('infopro', 4, 0), Run('infopro', 4, 1)]
    for trained in finished[1:]:
        folder = tmp_path / 'runs' / trained.name
        folder.mkdir(parents=True)
        (folder / 'iter_3.pth').touch()
        (folder / 'last_checkpoint').write_text(str(folder / 'iter_3.pth'))
    assert runs_shown(suite, finished[:3], tmp_path) == {}
    assert runs_shown(suite, finished, tmp_path) == {'e2e': finished[1], 'infopro, K=4': finished[3]}
    assert runs_shown(Config({'comparison': {}}), finished, tmp_path) == {}


def test_the_panel_finds_the_checkpoints_of_a_folder_that_was_moved(tmp_path):
    suite, trained = Config({'comparison': {'panel': {'e2e': 1}}}), Run('e2e', 1, 0)
    before, after = tmp_path / 'before', tmp_path / 'after'
    folder = before / 'runs' / trained.name
    folder.mkdir(parents=True)
    (folder / 'iter_3.pth').touch()
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_3.pth'))
    before.rename(after)
    assert runs_shown(suite, [trained], after) == {'e2e': trained}
    (after / 'runs' / trained.name / 'iter_3.pth').unlink()
    assert runs_shown(suite, [trained], after) == {}


def test_two_networks_stand_side_by_side(monkeypatch, tmp_path):
    figures = []
    draw = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda figure, *a, **k: (figures.append(figure), draw(figure, *a, **k))
    )
    models = {}
    for title, label, cuts in (('e2e', 2, ()), ('local', 3, CUTS)):
        models[title] = build(model_config(cuts, local_head=local_head_config()), double=False)
        with torch.no_grad():
            models[title].decode_head.conv_seg.weight.zero_()
            models[title].decode_head.conv_seg.bias.zero_()[label] = 1.0
    panel.draw_panels(models, one_image(), tmp_path / 'panel.png')
    _, _, first, second, *decoded = figures[0].axes
    assert [axes.get_title() for axes in (first, second)] == ['e2e', 'local']
    assert [axes.get_title() for axes in decoded] == [f'local: decoded {k}' for k in range(len(CUTS))]
    middle = (SIZE[1] // 2, SIZE[0] // 2)
    assert_shown(first, middle, PALETTE[2])
    assert_shown(second, middle, PALETTE[3])
