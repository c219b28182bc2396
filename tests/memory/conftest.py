import pytest

from tests.memory.traces import all_once


@pytest.fixture(scope='package', autouse=True)
def _all_once():
    with all_once():
        yield
