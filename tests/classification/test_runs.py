"""A classifier is trained, tested and used by the commands' own functions."""

import csv
import json

import cv2
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger

from infopro_seg.classification.prediction import ImageNetwork
from infopro_seg.comparison.results import read_runs, summarise
from infopro_seg.comparison.suite import Run
from infopro_seg.comparison.tables import comparison_table
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.evaluate import evaluate
from infopro_seg.export import export
from infopro_seg.inference import load
from infopro_seg.predict import Ways, predict
from tests.classification.made import NAMES, picture, write_config


def checkpoint_of(run):
    return run / 'run' / 'iter_4.pth'


def test_training_writes_its_accuracies(run):
    metrics = json.loads((run / 'run' / 'metrics.json').read_text())
    assert set(metrics['percent']) == {'accuracy/top1', 'accuracy/top2'}
    assert (metrics['mIoU'], metrics['IoU'], metrics['iterations']) == (None, {}, 4)
    assert (run / 'run' / 'curves.png').is_file()
    assert not (run / 'run' / 'panel.png').exists()


def expected_scores(run):
    """The scores of the test images by the network of the checkpoint, and their labels."""
    network = ImageNetwork(load_config(run / 'config.py'), checkpoint_of(run))
    scores = []
    for index in range(6):
        image = torch.from_numpy(picture(100 + index).transpose(2, 0, 1).copy())
        data = network.model.data_preprocessor(pseudo_collate([{'inputs': image}]), False)
        scores.append(network.model.scores(data['inputs'])[0])
    return torch.stack(scores), torch.arange(6) % 3


def test_an_evaluation_counts_what_the_network_predicts(run):
    scores, labels = expected_scores(run)
    order = scores.argsort(1, descending=True)
    top1 = 100 * (order[:, 0] == labels).double().mean().item()
    top2 = 100 * (order[:, :2] == labels[:, None]).any(1).double().mean().item()
    out = run / 'evaluation.json'
    found = evaluate(run / 'config.py', checkpoint_of(run), json_file=str(out), work_dir=str(run / 'test'))
    assert found['percent'] == pytest.approx({'accuracy/top1': top1, 'accuracy/top2': top2}, abs=1e-4)
    assert found['images'] == 6
    assert json.loads(out.read_text()) == found
    assert list(found['validations']) == ['4']


@pytest.mark.parametrize(('classes', 'told'), [(NAMES, 0), (('left', 'middle', 'up'), 1)])
def test_an_evaluation_on_other_classes_says_so(run, tmp_path, monkeypatch, classes, told):
    found = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *_, **__: found.append(text))
    options = {'test_dataloader.dataset.metainfo': {'classes': classes}}
    evaluate(run / 'config.py', checkpoint_of(run), work_dir=str(tmp_path / 'test'), options=options)
    words = f'trained on the classes {NAMES}, and the test split has {classes}'
    assert sum(words in text for text in found) == told


def test_prediction_writes_class_and_score(run, tmp_path):
    scores, _ = expected_scores(run)
    files = []
    for index in range(3):
        files.append(tmp_path / f'{index}.png')
        cv2.imwrite(str(files[-1]), picture(100 + index))
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no image')
    skipped = predict(run / 'config.py', checkpoint_of(run), [*files, broken], tmp_path / 'out')
    assert skipped == [broken]
    with open(tmp_path / 'out' / 'classes.csv', newline='') as file:
        rows = list(csv.reader(file))
    best = scores[:3].max(1)
    expected = [
        [str(file), NAMES[index], f'{score:.4f}']
        for file, index, score in zip(files, best.indices, best.values, strict=True)
    ]
    assert rows == [['image', 'class', 'score'], *expected]


def test_the_classes_before_an_interrupt_are_kept(run, tmp_path, monkeypatch):
    for index in range(3):
        cv2.imwrite(str(tmp_path / f'{index}.png'), picture(100 + index))
    arguments = (run / 'config.py', checkpoint_of(run), [tmp_path], tmp_path / 'out')
    assert predict(*arguments) == []
    table, kept = (tmp_path / 'out' / f'classes{end}.csv' for end in ('', '_incomplete'))
    whole = table.read_text().splitlines()
    classify = ImageNetwork.__call__

    def stop_at_the_last(network, path):
        if path.name == '2.png':
            raise KeyboardInterrupt
        return classify(network, path)

    with monkeypatch.context() as patch:
        patch.setattr(ImageNetwork, '__call__', stop_at_the_last)
        with pytest.raises(KeyboardInterrupt):
            predict(*arguments)
    assert kept.read_text().splitlines() == whole[:-1]
    assert table.read_text().splitlines() == whole
    assert predict(*arguments) == []
    assert not kept.exists()


def test_a_table_of_the_user_is_not_replaced(run, tmp_path):
    cv2.imwrite(str(tmp_path / '0.png'), picture(100))
    table = tmp_path / 'classes.csv'
    arguments = (run / 'config.py', checkpoint_of(run), [tmp_path / '0.png'], tmp_path)
    table.write_text('image,label\n0.png,cat\n')
    with pytest.raises(UserError, match=r'classes\.csv already exists and is not an earlier result'):
        predict(*arguments)
    assert table.read_text() == 'image,label\n0.png,cat\n'
    table.write_text('')  # nothing to lose
    for _ in range(2):
        assert predict(*arguments) == []


@pytest.mark.parametrize(
    ('way', 'option'),
    [
        ({'half': True}, '--half'),
        ({'batch': 2}, '--batch'),
        ({'resize': False}, '--no-resize'),
        ({'fps': 5.0}, '--fps'),
    ],
)
def test_ways_of_segmentors_are_refused(way, option, tmp_path):
    config = write_config(tmp_path / 'config.py', 'none.npz')
    cv2.imwrite(str(tmp_path / 'a.png'), picture(100))
    with pytest.raises(ConfigError, match=f'^{option} is for segmentors.*leave it out'):
        predict(config, 'none.pth', [tmp_path / 'a.png'], tmp_path / 'out', ways=Ways(**way))


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (
            lambda run: export(checkpoint_of(run), run / 'plain.onnx', format='onnx'),
            '--format onnx: a checkpoint of InfoProImageClassifier is exported as mmpretrain',
        ),
        (
            lambda run: load(run / 'config.py', checkpoint_of(run)),
            'infopro_seg.load is for segmentors, and InfoProImageClassifier gives one class for',
        ),
        (lambda run: evaluate(run / 'config.py', checkpoint_of(run), tta=True), '--tta is for segmentors'),
        (
            lambda run: evaluate(run / 'config.py', checkpoint_of(run), out=str(run / 'x')),
            '--out is for segmentors',
        ),
    ],
    ids=['export', 'load', 'tta', 'out'],
)
def test_what_makes_no_sense_is_refused(run, call, message):
    with pytest.raises(ConfigError, match=message):
        call(run)


def test_a_comparison_is_judged_by_what_its_suite_names(run, tmp_path):
    runs = [Run('e2e', 1, 0), Run('greedy', 2, 0)]
    for one, accuracy in zip(runs, (50.0, 40.0), strict=True):
        folder = tmp_path / 'runs' / one.name
        (folder / 'now' / 'vis_data').mkdir(parents=True)
        metrics = json.loads((run / 'run' / 'metrics.json').read_text())
        metrics['percent']['accuracy/top1'] = accuracy
        (folder / 'metrics.json').write_text(json.dumps(metrics))
        logged = [{'step': 4, 'accuracy/top1': accuracy}, {'step': 4, 'loss': 1.0, 'time': 0.5}]
        (folder / 'now' / 'vis_data' / 'scalars.json').write_text('\n'.join(map(json.dumps, logged)))
    traces = {one.setting: {'peak_bytes': 2**20, 'flops': 10, 'cuts': []} for one in runs}
    (tmp_path / 'traces.json').write_text(json.dumps(traces))
    e2e, greedy = summarise(read_runs(runs, tmp_path, 'accuracy/top1'), 'accuracy/top1')
    assert (e2e['accuracy/top1'], greedy['accuracy/top1']) == (0.5, 0.4)
    assert greedy['against_e2e'] == pytest.approx(-0.1)
    assert greedy['curve'] == [(4, 0.4)]
    table = comparison_table([e2e, greedy], 'accuracy/top1')
    assert '| greedy | 2 | 40.00 | -10.00 | 1 |' in table
    assert 'accuracy/top1 % (mean ± sd)' in table
