"""A comparison of two iterations, as a command."""

import sys
from types import SimpleNamespace

import pytest

from infopro_seg.comparison import trainings
from infopro_seg.comparison.results import trace_settings
from infopro_seg.config_files import load_config
from tests.fixtures import without_pictures
from tests.forks import run_forked
from tests.runs import ROOT

ITERATIONS = 2
SUITE = """
_base_ = ['{root}/configs/compare/smoke.py']
data_root = '{data}'
train_dataloader = dict(batch_size=2, dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
train_cfg = dict(max_iters={iterations}, val_interval=1)
custom_imports = dict(imports=['infopro_seg.register', 'tests.runs'], allow_failed_imports=False)
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='ResultsHook'), dict(type='NoteStart')]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1))
comparison = dict(data=dict(train=4, val=2), panel=dict(e2e=1, greedy=2))
"""


def command(out, suite, *arguments):
    return [sys.executable, 'tools/compare.py', '--suite', str(suite), '--out', str(out), *arguments]


def call(out, suite, *arguments):
    with pytest.MonkeyPatch.context() as patch, without_pictures():  # of the runs, not of the comparison
        patch.setattr(trainings, 'subprocess', SimpleNamespace(run=run_forked))
        return run_forked(command(out, suite, *arguments), cwd=ROOT)


def trace_here(folder, suite, *runs):  # which this process's copies then know
    trace_settings(load_config(suite), runs, folder, lambda line: None)


def write_suite(folder, iterations=ITERATIONS):
    suite = folder / f'suite_{iterations}.py'
    text = SUITE.format(root=ROOT.as_posix(), data=(folder / 'data').as_posix(), iterations=iterations)
    suite.write_text(text)
    return suite
