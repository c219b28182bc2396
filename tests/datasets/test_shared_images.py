"""Images that are both trained on and evaluated are warned of; a training may still want them."""

import pytest
from mmengine.logging import MMLogger

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.preflight import require_data
from tests.datasets.pairs import config_of, leaf, make


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The warnings of a training, by the data set of its validation."""
    warnings = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', warnings.append)
    root = make(tmp_path)

    def told(val):
        config = config_of(leaf(root))
        config.val_dataloader = config_of(val(root), 'val').val_dataloader
        require_data(config, ('train', 'val'))
        return [text for text in warnings if 'trained on as well' in text]

    return told


def test_a_split_of_its_own_passes(told):
    assert told(lambda root: leaf(root, 'val')) == []


def test_the_training_images_are_warned_of(told):
    [warning] = told(leaf)
    assert '4 of 4 images of the val split are trained on as well, e.g. ' in warning
    assert warning.index('images/train/0.png') > 0


def test_images_inside_a_wrapper_are_warned_of(told):
    def val(root):
        return {'type': 'ConcatDataset', 'datasets': [leaf(root, 'val'), leaf(root, indices=2)]}

    assert '2 of 6 images of the val split' in told(val)[0]
