import shutil

import cv2
import numpy as np
import pytest
import torch
from cityscapesscripts.helpers.labels import id2label

from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.evaluate import evaluate
from infopro_seg.predict import predict
from infopro_seg.predict_images import find_images
from tests.runs import DEMO, SIZE, images, read_png, tiny_options, write_config


@pytest.fixture(scope='module')
def config(streets, tmp_path_factory):
    options = tiny_options(streets, results=True)
    return write_config(tmp_path_factory.mktemp('config') / 'tiny.py', options)


@pytest.fixture
def photos(streets, tmp_path):
    """Two images of the same name in different folders, another size, another format."""
    first, second = images(streets, 'val')[:2]
    folder = tmp_path / 'photos'
    for name, source in (('a/street.png', first), ('b/street.png', second)):
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(source, folder / name)
    cv2.imwrite(str(folder / 'wide.JPG'), cv2.resize(cv2.imread(str(first)), (150, 70)))
    (folder / 'notes.txt').write_text('not an image')
    return folder


def test_label_images_are_those_of_the_evaluation(streets, config, lively, tmp_path):
    options = tiny_options(streets, results=True)
    evaluate(DEMO, lively, out=str(tmp_path / 'evaluated'), work_dir=str(tmp_path), options=options)
    predict(config, lively, [streets / 'leftImg8bit/val'], tmp_path / 'out')
    for image in images(streets, 'val'):
        actual = read_png(tmp_path / 'out' / image.parent.name / f'{image.stem}_labels.png')
        assert np.array_equal(actual, read_png(tmp_path / 'evaluated' / image.parent.name / image.name))


def test_overlays_blend_the_image_with_the_colours_of_its_classes(config, lively, photos, tmp_path):
    predict(config, lively, [photos], tmp_path / 'out')
    labels = read_png(tmp_path / 'out/a/street_labels.png')
    overlay = read_png(tmp_path / 'out/a/street_overlay.png')
    assert labels.shape == SIZE
    assert len(np.unique(labels)) > 2
    colors = np.array([[id2label[i].color for i in row] for row in labels.tolist()], float)[..., ::-1]
    expected = 0.45 * cv2.imread(str(photos / 'a/street.png')) + 0.55 * colors
    assert np.abs(overlay - expected).max() <= 0.51


def test_images_keep_their_folders_and_sizes(config, lively, photos, tmp_path):
    assert predict(config, lively, [photos], tmp_path / 'out') == []
    kinds = ('labels', 'overlay')
    expected = {f'{name}_{kind}.png' for name in ('a/street', 'b/street', 'wide') for kind in kinds}
    written = {str(p.relative_to(tmp_path / 'out')) for p in (tmp_path / 'out').rglob('*') if p.is_file()}
    assert written == expected
    assert read_png(tmp_path / 'out/wide_labels.png').shape == (70, 150)
    a, b = (read_png(tmp_path / 'out' / name / 'street_labels.png') for name in 'ab')
    assert not np.array_equal(a, b)


@pytest.mark.parametrize('content', [b'', b'no image'])
def test_an_unreadable_image_is_named_and_skipped(config, lively, photos, tmp_path, capsys, content):
    broken = photos / 'a' / 'broken.png'
    broken.write_bytes(content)
    assert predict(config, lively, [broken, photos / 'b'], tmp_path / 'out') == [broken]
    told = capsys.readouterr().err
    assert f'skipped: cannot read the image {broken}: ' in told
    assert f'1 of 2 images predicted into {tmp_path / "out"}\n' in told
    assert sorted(p.name for p in (tmp_path / 'out').rglob('*.png')) == [
        'street_labels.png',
        'street_overlay.png',
    ]


def test_a_path_that_is_not_there_is_refused_before_any_prediction(config, lively, photos, tmp_path):
    with pytest.raises(UserError, match=r'no such image or folder: .*/nowhere'):
        predict(config, lively, [photos, tmp_path / 'nowhere'], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / 'text.txt').write_text('')
    with pytest.raises(UserError, match=r'no images in .*; looked for .avif, .bmp'):
        find_images([tmp_path])


def test_images_whose_results_would_overwrite_each_other_are_named_apart(photos):
    def names(*given):
        return [str(name) for _, name in find_images(given).images]

    assert names(photos / 'a/street.png', photos / 'b/street.png') == ['a/street', 'b/street']
    assert names(photos / 'a', photos / 'b') == ['a/street', 'b/street']
    cv2.imwrite(str(photos / 'wide.png'), np.zeros((4, 4, 3), np.uint8))
    assert names(photos) == ['a/street', 'b/street', 'wide.JPG', 'wide.png']


def test_an_image_that_is_named_twice_is_predicted_once(photos):
    found = [path for path, _ in find_images([photos / 'a', photos / 'a/street.png', photos / 'a']).images]
    assert found == [photos / 'a/street.png']


def test_another_model_s_checkpoint_is_refused(config, tmp_path, photos):
    torch.save({'state_dict': {'a': torch.zeros(1)}}, tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=r'other.pth is of another model'):
        predict(config, tmp_path / 'other.pth', [photos], tmp_path / 'out')
    (tmp_path / 'text.pth').write_text('hello')
    with pytest.raises(CheckpointError, match=r'cannot read the checkpoint .*/text.pth'):
        predict(config, tmp_path / 'text.pth', [photos], tmp_path / 'out')
