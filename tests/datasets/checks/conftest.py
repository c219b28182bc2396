"""The data set of plants, whole and to be spoilt."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from infopro_seg.datasets.checks.inspection import IGNORED
from tests.datasets.checks.plants import CLASSES, SIZES, save


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Six clean pairs."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(5)
    for index, size in enumerate(SIZES):
        save(root / f'images/{index}.png', rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        labels = rng.integers(0, len(CLASSES), size, dtype=np.uint8)
        labels[:2] = IGNORED
        save(root / f'masks/{index}.png', labels)
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / 'data'))
