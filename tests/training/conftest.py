import pytest

from tests.fixtures import without_pictures


@pytest.fixture(scope='package', autouse=True)
def _no_pictures(trained):
    """The shared run is made before, with its pictures."""
    with without_pictures():
        yield
