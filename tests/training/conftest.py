from pathlib import Path

import pytest

from infopro_seg.hooks import results


def write_nothing(*given):
    """In place of the pictures of a run, which take longer than its training; see hooks/test_results."""
    next(path for path in given if isinstance(path, Path)).write_bytes(b'')


@pytest.fixture(scope='package', autouse=True)
def _no_pictures(trained):
    """The shared run is made before, with its pictures."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ('draw_curves', 'draw_panel'):
            patch.setattr(results, name, write_nothing)
        yield
