"""What test.py makes of data sets without labels, and of joined folders."""

import json

import numpy as np
import pytest
from mmengine.config import Config

from infopro_seg.config_files import load_config
from infopro_seg.errors import DataError, UserError
from infopro_seg.evaluate import evaluate
from infopro_seg.evaluation.pipelines import without_labels
from tests.runs import DEMO, images, read_png, tiny_options


@pytest.fixture(scope='module')
def expected(streets, lively, tmp_path_factory):
    """The label images of an ordinary evaluation, by the name of the image."""
    out = tmp_path_factory.mktemp('labelled')
    options = tiny_options(streets, results=True)
    evaluate(DEMO, lively, out=str(out), work_dir=str(out / 'log'), options=options)
    return {path.name: read_png(path) for path in out.rglob('*.png')}


def config_with(dataset, streets, folder, **more):
    """The demo's config with another test set."""
    config = load_config(DEMO, {**tiny_options(streets, results=True), **more})
    config.test_dataloader.dataset = dataset(config.test_dataloader.dataset.to_dict())
    config.dump(folder / 'config.py')
    return folder / 'config.py'


def unlabelled(dataset):
    return {**dataset, 'data_prefix': {'img_path': dataset['data_prefix']['img_path']}}


def joined(dataset):
    return {'type': 'ConcatDataset', 'datasets': [dataset, dict(dataset)]}


def written(folder):
    return {path.name: read_png(path) for path in folder.rglob('*.png')}


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name, picture in actual.items():
        assert np.array_equal(picture, expected[name])


@pytest.mark.parametrize('both', [False, True], ids=['one folder', 'joined'])
def test_images_without_labels_are_predicted_but_not_scored(streets, lively, tmp_path, expected, both):
    config = config_with(lambda d: joined(unlabelled(d)) if both else unlabelled(d), streets, tmp_path)
    arguments = {'work_dir': str(tmp_path / 'log'), 'json_file': str(tmp_path / 'a.json')}
    results = evaluate(config, lively, out=str(tmp_path / 'out'), **arguments)
    assert_equal(written(tmp_path / 'out'), expected)
    assert (results['mIoU'], results['IoU'], results['percent']) == (None, {}, {})
    assert json.loads((tmp_path / 'a.json').read_text()) == results


def test_without_labels_and_without_out_the_command_for_it_is_named(streets, lively, tmp_path):
    config = config_with(unlabelled, streets, tmp_path)
    with pytest.raises(DataError) as caught:
        evaluate(config, lively, work_dir=str(tmp_path / 'log'))
    assert 'names no seg_map_path' in str(caught.value)
    assert f'python tools/test.py {config} {lively} --out DIR' in str(caught.value)


def test_images_without_labels_are_looked_at_before_the_evaluation(streets, lively, tmp_path):
    image = images(streets, 'val')[0]
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / image.name).write_bytes(image.read_bytes()[:-40])

    def broken(dataset):
        return {**dataset, 'data_root': str(tmp_path), 'data_prefix': {'img_path': 'photos'}}

    config = config_with(broken, streets, tmp_path)
    with pytest.raises(DataError, match=rf'photos/{image.name}: the image cannot be read: '):
        evaluate(config, lively, out=str(tmp_path / 'out'), work_dir=str(tmp_path / 'log'))


def test_a_folder_of_labels_that_is_not_there_is_named_with_both_ways_on(streets, lively, tmp_path):
    def misnamed(dataset):
        return {**dataset, 'data_prefix': {**dataset['data_prefix'], 'seg_map_path': 'none'}}

    config = config_with(misnamed, streets, tmp_path)
    with pytest.raises(DataError, match=r'no labels: no folder .*/none; correct .* or leave it out .* --out'):
        evaluate(config, lively, out=str(tmp_path / 'out'), work_dir=str(tmp_path / 'log'))


def test_scales_and_flips_without_labels(streets, lively, tmp_path):
    own = {'work_dir': str(tmp_path / 'log'), 'tta': True}
    labelled = config_with(joined, streets, tmp_path)
    evaluate(labelled, lively, out=str(tmp_path / 'a'), **own)
    bare = config_with(unlabelled, streets, tmp_path)
    evaluate(bare, lively, out=str(tmp_path / 'b'), **own)
    assert_equal(written(tmp_path / 'b'), written(tmp_path / 'a'))


def test_steps_that_load_labels_are_taken_out_of_others_too():
    steps = [
        {'type': 'LoadImage'},
        {'type': 'LoadLabels'},
        {
            'type': 'TestTimeAug',
            'transforms': [[{'type': 'Resize'}], [{'type': 'LoadAnnotations'}], [{'type': 'PackSegInputs'}]],
        },
    ]
    bare = without_labels(Config({'steps': steps}).steps)
    assert bare == [
        {'type': 'LoadImage'},
        {'type': 'TestTimeAug', 'transforms': [[{'type': 'Resize'}], [{'type': 'PackSegInputs'}]]},
    ]


@pytest.mark.parametrize(
    ('given', 'told'),
    [
        ({'json_file': '/proc/none/a.json'}, r'cannot write to --json /proc/none/a.json, in /proc/none'),
        ({'out': '/proc/none'}, r'cannot write to --out /proc/none: .*; name another'),
        ({'work_dir': '/proc/none'}, r'cannot write to --work-dir /proc/none: .*; name another'),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_evaluation(
    streets, lively, tmp_path, monkeypatch, given, told
):
    monkeypatch.setattr('infopro_seg.evaluate.build_runner', lambda cfg: pytest.fail('it was built'))
    options = tiny_options(streets, results=True)
    with pytest.raises(UserError, match=told):
        evaluate(DEMO, lively, options=options, **{'work_dir': str(tmp_path), **given})


def test_the_validations_of_the_training_are_among_the_results(streets, trained, checkpoint, tmp_path):
    known = json.loads((trained / 'metrics.json').read_text())['validations']
    assert list(known) == ['3', '6']
    results = evaluate(DEMO, checkpoint, work_dir=str(tmp_path), options=tiny_options(streets, results=True))
    first, *later = results['validations'].items()
    assert first == ('3', known['3'])
    assert all(known[step] == metrics for step, metrics in later)  # saved before or after its own
    assert len(images(streets, 'val')) == results['images']
