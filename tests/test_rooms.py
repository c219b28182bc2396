"""The rooms of the package: which of them may import which, and how large a file may grow."""

import ast
from functools import cache
from importlib.util import resolve_name

import pytest

from tests.runs import ROOT

PACKAGE = ROOT / 'infopro_seg'
LEVELS = (  # lowest first: a room imports itself and rooms of lower levels
    'infopro_seg',  # the version; what `load` imports when it is called comes from the top
    'errors graph_sizes installing markdown options spelling stock_datasets warm_up yapf_import',
    'batch_norm devices faults files precision',
    'checkpoints config_edits consoles image_inputs outputs parallel strict_json',
    'named_types turn_configs tasks',
    'config_files',
    'cli drawing streets',
    'logit_maps datasets',
    'models',
    'evaluation',
    'memory',
    'visualization',
    'hooks',
    'training comparison export_graph export_outputs predict_images trained_network',
    'classification',
    'evaluate export inference probing',
    'prediction',
    'predict',
    'register',
    'commands measure_process',
    '__main__',
)
MODELS_LEVELS = (  # the same inside `models`
    'blocks channels encoder image losses point_sample pretrained_fit recomputation row_maps state_dict',
    'bounded_prediction compiled forward_pass local_heads pretrained train_step',
    'backbone',
    'asynchronous',
    'ddp local_training',
    'segmentor',
    'models',  # what the folder offers itself
)
MEMORY_LEVELS = (  # the same inside `memory`
    'quantities variants',
    'tracing',
    'costs inference',
    'search',
    'planning',
    'measuring',
    'memory',  # what the folder offers itself
)
TRAINING_LEVELS = (  # the same inside `training`
    'interruptions optimizers work_dir',
    'building',
    'checks',
    'resuming',
    'loop turn_result',
    'runner turns',
    'module_parallel',
    'runners',
    'memory_budget',
    'launch',
    'training',  # what the folder offers itself
)
REGISTERING = {'infopro_seg', 'commands', 'measure_process'}  # what a user calls, and a process of its own
LINES = 250


def numbered(levels):
    return {room: number for number, rooms in enumerate(levels) for room in rooms.split()}


def room_of(module, depth=1):
    return module.split('.')[: depth + 1][-1]


@cache
def files():
    """Each module's file, by its full name."""
    found = {}
    for path in PACKAGE.rglob('*.py'):
        parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


@cache
def imports():
    """All (module, what it imports) of the package, wherever in the file; names of modules in full."""
    found = []
    for module, path in files().items():
        package = module if path.name == '__init__.py' else module.rpartition('.')[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found += [(module, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                source = f'{"." * node.level}{node.module or ""}'
                source = resolve_name(source, package) if node.level else source
                found += [(module, f'{source}.{alias.name}') for alias in node.names]
    return found


@cache
def graph():
    """The modules that each module imports; the package itself offers `load` and so counts as none."""
    found = {module: set() for module in files()}
    for module, name in imports():
        target = name if name in files() else name.rpartition('.')[0]
        if target in files() and target != module and module != 'infopro_seg':
            found[module].add(target)
    return found


def edges():
    return [(module, target) for module, targets in graph().items() for target in targets]


def reached(start):
    """All modules that are imported when one is."""
    seen, left = set(), [start]
    while left:
        new = graph()[left.pop()] - seen
        seen |= new
        left += new
    return seen


@pytest.mark.parametrize(
    ('inside', 'levels'),
    [
        ('', LEVELS),
        ('infopro_seg.models', MODELS_LEVELS),
        ('infopro_seg.memory', MEMORY_LEVELS),
        ('infopro_seg.training', TRAINING_LEVELS),
    ],
)
def test_every_room_has_its_level_and_imports_no_higher_one(inside, levels):
    level, depth = numbered(levels), len(inside.split('.')) if inside else 1
    within = [module for module in files() if f'{module}.'.startswith(f'{inside}.' if inside else '')]
    assert {room_of(module, depth) for module in within} == set(level)
    wrong = {
        f'{one} imports {other}'
        for one, other in edges()
        if one in within and other in within
        if (a := room_of(one, depth)) != (b := room_of(other, depth)) and level[a] <= level[b]
    }
    assert wrong == set()


def test_no_modules_import_each_other_in_a_circle():
    assert {module for module in files() if module in reached(module)} == set()


def test_only_what_a_user_runs_registers():
    found = {room_of(module) for module, name in imports() if name == 'infopro_seg.register'}
    assert found == REGISTERING


@pytest.mark.parametrize(
    'command', sorted(name for name in files() if name.startswith('infopro_seg.commands.'))
)
def test_a_command_that_uses_mmseg_registers(command):
    """What configs name must be there, whichever command reads them."""
    users = {module for module, name in imports() if name.split('.')[0] == 'mmseg'} - {'infopro_seg.register'}
    used = {command, *reached(command)}
    assert ('infopro_seg.register' in graph()[command]) == bool(used & users)


def test_no_file_is_too_long():
    paths = [path for folder in (PACKAGE, ROOT / 'tests', ROOT / 'tools') for path in folder.rglob('*.py')]
    lines = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in paths}
    assert {name: count for name, count in lines.items() if count > LINES} == {}
