from importlib import import_module
from pathlib import Path

from tests.leftovers import (  # noqa: F401
    is_controller,
    pytest_sessionfinish,
    pytest_sessionstart,
    pytest_terminal_summary,
)

pytest_plugins = ['pytester']

SLOW = (  # files that take long begin first, so that all workers end at the same time
    'training/module_parallel/test_training.py',
    'comparison/test_compare.py',
    'memory/test_cuts.py',
    'training/test_ending.py',
    'models/test_encoders.py',
    'memory/test_next_module.py',
    'training/test_loop.py',
    'test_configs.py',
    'training/test_out_of_memory.py',
    'memory/test_plan.py',
    'models/test_encoder_use.py',
    'memory/test_repeated_windows.py',
    'memory/test_benchmark.py',
    'docs/test_run_commands.py',
    'training/test_launch.py',
    'memory/test_trace.py',
    'memory/test_inference_plan.py',
    'probing/test_command.py',
    'test_export_graph.py',
    'models/test_compiled.py',
    'training/module_parallel/test_processes.py',
    'training/module_parallel/test_prediction.py',
    'training/module_parallel/test_ends.py',
)


def pytest_configure(config):
    """The process that only hands the files to workers need not import torch, which takes it ten seconds."""
    if not (is_controller(config) and getattr(config.option, 'tx', None)):
        config.pluginmanager.register(import_module('tests.fixtures'))


def pytest_collection_modifyitems(items):
    def place(item):
        name = item.path.relative_to(Path(__file__).parent).as_posix()
        return SLOW.index(name) if name in SLOW else len(SLOW)

    items.sort(key=place)
