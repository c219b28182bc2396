"""Data sets without labels: nothing to train on, nothing to validate, but something to test."""

import pytest

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.datasets.pairs import config_of, leaf, make


@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_a_split_whose_pipeline_loads_labels_must_have_them(tmp_path, split):
    make(tmp_path, splits=(split,))
    config = config_of(leaf(tmp_path, split, data_prefix={'img_path': f'images/{split}'}), split)
    with pytest.raises(DataError, match=rf'images/{split}: the images have no labels, .* no seg_map_path'):
        require_data(config, (split,))
    problems = check_split(config, split, workers=1).problems
    assert [problem.path.name for problem in problems] == ([] if split == 'test' else [split])
    config[f'{split}_dataloader'].dataset.pipeline = [{'type': 'LoadImage'}]
    require_data(config, (split,))
