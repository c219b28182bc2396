"""What all tests share; loaded by the processes that run tests, see `conftest`."""

import fcntl
import gc
import logging
import os
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.registry import init_default_scope

from tests import optional_packages

optional_packages.import_them()  # before mmseg

import infopro_seg.register  # noqa: E402, F401
from infopro_seg.hooks import results  # noqa: E402
from infopro_seg.streets.data_set import make_synthetic_streets  # noqa: E402
from infopro_seg.yapf_import import import_yapf  # noqa: E402
from tests import config_cache, runs  # noqa: E402
from tests.memory.traces import all_once  # noqa: E402

config_cache.install()
torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


def pytest_collection_finish():
    """What is imported and collected stays; without this each collection of garbage looks through all of it.

    mmseg collects garbage for each data set that it builds, which takes half a second so.
    """
    freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """What the tests of a file have left in caches stays, too."""
    if nextitem is not None and nextitem.path != item.path:
        freeze()


def freeze():
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def _quiet_logger():
    MMLogger.get_current_instance().setLevel(logging.ERROR)


@pytest.fixture(scope='session', autouse=True)
def _workers_end_soon():
    """Where a loader was left in the middle, torch waits 5 s for each worker before it ends it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.utils.data._utils, 'MP_STATUS_CHECK_INTERVAL', 0.5)
        yield


@pytest.fixture(scope='session', autouse=True)
def _configs_as_they_come():
    """Laying out a config's text takes yapf half a second, and a run does it nine times."""
    import_yapf()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', lambda text, **kwargs: (text, True))
        yield


@pytest.fixture(scope='session', autouse=True)
def _traced_once(tmp_path_factory):
    """Plans, balanced cuts and reports of lacking memory ask for the same traces again and again."""
    with all_once(common(tmp_path_factory)):
        yield


@pytest.fixture(scope='session', autouse=True)
def _seeds_without_tracebacks():
    """Without a GPU, `torch.manual_seed` notes thrice who called it, for a message if one appears later."""
    with pytest.MonkeyPatch.context() as patch:
        for device in (torch.cuda, torch.xpu, torch.mtia):
            patch.setattr(device, 'traceback', SimpleNamespace(format_stack=list))
        yield


@pytest.fixture(autouse=True)
def _same_start():
    """Every test finds mmseg's registries and the same random numbers, whatever ran before it."""
    init_default_scope('mmseg')
    torch.manual_seed(0)


def common(tmp_path_factory):
    """The folder of this run, the same for all its processes."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if 'PYTEST_XDIST_WORKER' in os.environ else folder


def made_once(folder, make):
    """A folder that the first process to ask for it fills, while the others wait."""
    done = folder.with_suffix('.done')
    with open(folder.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder


@contextmanager
def without_pictures():
    """Lets runs write empty files for the pictures of their results; see hooks/test_results for real ones."""

    def write_nothing(*given):
        next(path for path in given if isinstance(path, Path)).write_bytes(b'')

    with pytest.MonkeyPatch.context() as patch:
        for name in ('draw_curves', 'draw_panel'):
            patch.setattr(results, name, write_nothing)
        yield


@pytest.fixture(scope='session')
def streets(tmp_path_factory):
    """Synthetic streets of a few images; not to be changed."""
    return made_once(
        common(tmp_path_factory) / 'streets',
        lambda out: make_synthetic_streets(out, runs.TRAIN, runs.VAL, runs.SIZE, seed=5, workers=1),
    )


@pytest.fixture(scope='session')
def trained(streets, tmp_path_factory):
    """The work dir of one short, uninterrupted training, with `reads`: the images in the order of reading."""
    return made_once(
        common(tmp_path_factory) / 'trained',
        lambda folder: runs.train_tiny(streets, folder, reads=folder / 'reads', results=True),
    )


@pytest.fixture(scope='session')
def checkpoint(trained):
    return trained / f'iter_{runs.ITERS}.pth'


@pytest.fixture(scope='session')
def lively(checkpoint, tmp_path_factory):
    """A checkpoint of the same network that predicts many classes."""
    return runs.make_lively(checkpoint, tmp_path_factory.mktemp('lively') / 'lively.pth')


@pytest.fixture
def amp_on_a_cpu(monkeypatch):
    """Lets mmengine's `AmpOptimWrapper`, which asks for a GPU, work with torch's loss scaling on a CPU.

    Autocast leaves float64 alone, so that with a network in float64 the oracles are exact.
    """
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(amp_optimizer_wrapper, 'GradScaler', partial(torch.amp.GradScaler, 'cpu'))


@pytest.fixture
def spoilt(streets, tmp_path):
    """A copy of the streets that a test may spoil."""
    return runs.copy_streets(streets, tmp_path / 'spoilt')
