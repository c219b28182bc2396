import json
from pathlib import Path

import pytest
import torch

from infopro_seg.errors import UserError
from infopro_seg.memory.benchmark import BenchmarkRequest, benchmark
from infopro_seg.memory.measure import CROP_STEP, SavedForBackward, largest
from tests.runs import DEMO


def test_every_recipe_is_measured_beside_its_prediction(tmp_path):
    rows = benchmark(BenchmarkRequest(DEMO, tmp_path, batch=2, crop=(64, 128), modules='2', iterations=1))
    content = json.loads((tmp_path / 'results.json').read_text())
    assert content['recipes'] == rows
    assert [row['recipe'] for row in rows][:3] == [
        'E2E, stock losses',
        'InfoPro* K=2',
        'InfoPro* K=2 + checkpointing',
    ]
    table = (tmp_path / 'results.md').read_text()
    for row in rows:
        measured = row['measured']
        assert measured['images_per_second'] == pytest.approx(2 / measured['seconds'])
        assert measured['saved_for_backward_bytes'] > 0
        assert f'| {row["recipe"]} |' in table
    assert (tmp_path / 'results.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize('limit', [0, 1, 2, 3, 7, 8, 9, 30])
def test_the_largest_crop_is_found(limit):
    expected = max((n for n in range(40) if n <= limit), default=0) * CROP_STEP
    assert largest(lambda height: height <= limit * CROP_STEP) == (expected or None)


def test_bytes_saved_for_backward_count_each_storage_once_and_go_with_the_graph():
    x = torch.ones(1000, requires_grad=True)
    with SavedForBackward() as saved:
        y = x.exp()  # keeps its output
        z = y * y  # keeps it twice more
        assert saved.live == 4000
        z.sum().backward()
        del y, z
    assert saved.peak == 4000
    assert saved.live == 0


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'iterations': 0}, 'iterations is 0'),
        ({'max_crop': '11GiB'}, 'there is none'),
        ({'batch': 0}, '0'),
    ],
)
def test_bad_input(tmp_path, change, message):
    if 'max_crop' in change and torch.cuda.is_available():
        pytest.skip('needs a machine without a GPU')
    with pytest.raises(UserError, match=message):
        benchmark(BenchmarkRequest(Path(DEMO), tmp_path, **change))
