"""Results never replace label images or photographs of the user's own."""

import pytest
from PIL import Image

from infopro_seg.errors import UserError
from infopro_seg.evaluate import evaluate
from infopro_seg.predict import predict
from tests.runs import DEMO, images, tiny_options


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('kind', ['leftImg8bit', 'labels'])
def test_an_evaluation_keeps_the_files_of_its_data_set(spoilt, lively, tmp_path, kind):
    """The label images of many data sets have the names that --out writes."""
    options = tiny_options(spoilt, results=True)
    out = spoilt / 'leftImg8bit/val'
    if kind == 'labels':
        out = tmp_path / 'masks'
        for path in images(spoilt, 'val'):
            own = out / path.relative_to(spoilt / 'leftImg8bit/val')
            own.parent.mkdir(parents=True, exist_ok=True)
            Image.new('L', (8, 4)).save(own)
    before = contents(out)
    with pytest.raises(
        UserError, match=r'\.png already exists and is not an earlier result, .* name another'
    ):
        evaluate(DEMO, lively, out=str(out), work_dir=str(tmp_path / 'log'), options=options)
    assert contents(out) == before


def test_a_prediction_keeps_label_images_and_replaces_its_own(streets, lively, tmp_path):
    options = tiny_options(streets, results=True)
    [path, *_] = images(streets, 'val')
    own = tmp_path / f'{path.stem}_labels.png'
    Image.new('L', (8, 4)).save(own)
    before = own.read_bytes()
    with pytest.raises(UserError, match=r'_labels\.png already exists and is not an earlier result'):
        predict(DEMO, lively, [path], tmp_path, options=options)
    assert own.read_bytes() == before
    own.unlink()
    for _ in range(2):
        assert predict(DEMO, lively, [path], tmp_path, options=options) == []
