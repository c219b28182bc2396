"""Images of different sizes in one batch of a validation."""

from pathlib import Path

import pytest

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.batch_sizes import require_equal_sizes
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.datasets.pairs import config_of, leaf, make, mask, photograph, save

KEEP, SQUEEZE = ({'type': 'Resize', 'scale': (30, 20), 'keep_ratio': keep} for keep in (True, False))


def images(*sizes):
    return [(Path(f'{index}.png'), size) for index, size in enumerate(sizes)]


def check(sizes, steps=(), batch_size=2, split='val', launcher='none'):
    pipeline = [{'type': 'LoadImage'}, *steps, {'type': 'LoadLabels'}, {'type': 'PackSegInputs'}]
    config = config_of(leaf(Path('d'), pipeline=pipeline), split, batch_size)
    config.launcher = launcher
    require_equal_sizes(config, split, images(*sizes))


@pytest.mark.parametrize(
    ('sizes', 'steps', 'batch_size'),
    [
        ([(30, 20), (24, 16)], (), 1),
        ([(30, 20), (30, 20), (24, 16)], (), 2),
        ([(30, 20), (24, 17)], (SQUEEZE,), 2),
        ([(30, 20), (60, 40)], (KEEP,), 2),
        ([(30, 20), None], (), 2),
        ([(30, 20), (24, 16)], ({'type': 'LoadNothing'}, {'type': 'NoSuchStep'}), 2),
    ],
    ids=['one by one', 'equal in each batch', 'squeezed', 'same shape', 'unknown', 'unknown step'],
)
def test_batches_of_one_size_pass(sizes, steps, batch_size):
    check(sizes, steps, batch_size)


@pytest.mark.parametrize('steps', [(), (KEEP,), ({'type': 'TestTimeAug', 'transforms': []},)])
def test_other_sizes_in_a_batch_are_named_with_the_remedy(steps):
    with pytest.raises(
        DataError, match=r'val batch .*2\.png 30x20 and 3\.png \d+x\d+.*batch_size=1 in the val_data'
    ):
        check([(30, 20)] * 3 + [(24, 20)], steps)


def test_each_process_has_batches_of_its_own(monkeypatch):
    sizes = [(30, 20), (24, 20)] * 2
    monkeypatch.setenv('WORLD_SIZE', '2')
    check(sizes, launcher='pytorch')
    monkeypatch.setenv('WORLD_SIZE', '1')
    with pytest.raises(DataError):
        check(sizes, launcher='pytorch')


def test_the_files_of_a_split_are_compared(tmp_path):
    make(tmp_path, 2, ('val',))
    require_data(config_of(leaf(tmp_path, 'val'), 'val'), ('val',))
    save(tmp_path / 'images/val/1.png', photograph(24, 24))
    save(tmp_path / 'masks/val/1.png', mask(24, 24))
    with pytest.raises(DataError, match=r'0\.png 30x20 and \S+1\.png 24x24'):
        require_data(config_of(leaf(tmp_path, 'val'), 'val'), ('val',))
    require_data(config_of(leaf(tmp_path, 'val')), ('train',))
