import pytest

from infopro_seg.comparison.suite import Run, even_cuts, find_suite, resized, run_config, select_runs
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import iter_blocks
from infopro_seg.models.encoder import build_encoder
from tests import optional_packages
from tests.optional_packages import has
from tests.runs import ROOT
from tests.stand_ins import encoder_config

OPTIONS = ('checkpoint', 'momentum_block', 'overlap')
SUITES = sorted(
    path for path in (ROOT / 'configs' / 'compare').glob('*.py') if not path.stem.startswith('methods')
)
optional_packages.import_classification()  # what the suite cifar10 needs


@pytest.fixture(scope='module')
def cpu():
    return load_config(ROOT / 'configs' / 'compare' / 'cpu.py')


def test_a_suite_is_found_by_its_name_or_its_path():
    folder = ROOT / 'configs' / 'compare'
    assert find_suite('smoke', folder) == folder / 'smoke.py'
    assert find_suite(str(folder / 'cpu.py'), ROOT) == folder / 'cpu.py'
    names = ', '.join(path.stem for path in SUITES)
    with pytest.raises(ConfigError, match=f'--suite nope: .*choose from {names}, or give a path'):
        find_suite('nope', folder)


def test_the_long_suite_is_the_other_with_twice_the_iterations(cpu):
    first, second = (
        run_config(suite, Run('infopro', 8, 1)).to_dict()
        for suite in (cpu, load_config(ROOT / 'configs' / 'compare' / 'cpu_long.py'))
    )
    twice = 2 * first['max_iters']
    first['max_iters'] = first['train_cfg']['max_iters'] = first['param_scheduler'][-1]['end'] = twice
    assert second == first


def test_the_runs_of_a_seed_come_before_those_of_the_next(cpu):
    runs = select_runs(cpu)
    planned = {(method, count) for method, counts in cpu.comparison.runs.items() for count in counts}
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    for seed in (0, 1, 2):
        assert {(run.method, run.modules) for run in runs if run.seed == seed} == planned
    assert len(runs) == len({run.name for run in runs}) == 3 * len(planned)


@pytest.mark.parametrize(
    ('asked', 'expected'),
    [
        ({'methods': ['greedy', 'greedy']}, [('greedy', k, s) for s in (0, 1, 2) for k in (2, 8)]),
        ({'modules': [4], 'seeds': [7], 'methods': ['dgl', 'e2e']}, [('dgl', 4, 7), ('e2e', 1, 7)]),
        ({'modules': [3], 'seeds': [1], 'methods': ['infopro']}, [('infopro', 3, 1)]),
        ({'modules': [1, 4], 'seeds': [1], 'methods': ['dgl', 'e2e']}, [('dgl', 4, 1), ('e2e', 1, 1)]),
        ({'modules': [1], 'seeds': [1], 'methods': ['e2e']}, [('e2e', 1, 1)]),
    ],
    ids=['twice the same', 'end to end has one module', 'another K', 'one is asked for too', 'only one'],
)
def test_methods_modules_and_seeds_can_be_chosen(cpu, asked, expected):
    assert [(run.method, run.modules, run.seed) for run in select_runs(cpu, **asked)] == expected


def test_an_unknown_method_is_refused_with_the_known_ones(cpu):
    with pytest.raises(ConfigError) as caught:
        select_runs(cpu, methods=['greddy'])
    assert "unknown method 'greddy'" in str(caught.value)
    assert all(method in str(caught.value) for method in cpu.methods)


def test_more_modules_than_blocks_are_refused(cpu):
    with pytest.raises(ConfigError, match='15 local modules, but the encoder has 14 blocks: stem, layer1'):
        run_config(cpu, Run('infopro', 15, 0))


def test_a_method_without_local_head_has_one_module(cpu):
    with pytest.raises(ConfigError, match="'e2e' has no local_head to train 2"):
        run_config(cpu, Run('e2e', 2, 0))


def test_even_cuts_give_every_module_as_many_blocks_but_for_one():
    names = [block.name for block in iter_blocks(build_encoder(encoder_config()))]
    for modules in range(1, len(names) + 1):
        ends = [names.index(cut) + 1 for cut in even_cuts(encoder_config(), modules)]
        sizes = [end - start for start, end in zip([0, *ends], [*ends, len(names)], strict=True)]
        assert sum(sizes) == len(names)
        assert len(sizes) == modules
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize('method', ['infopro_kseed_k', 'no-decoder', 'lr 0.1', 'größer'])
def test_a_run_is_known_by_the_name_of_its_folder(method):
    run = Run(method, 16, 30)
    assert run.name == f'{method}_k16_seed30'
    assert Run.named(run.name) == run


@pytest.mark.parametrize(
    'name', ['e2e_k1_seed0_old', 'e2e_k1_seed0_2', 'e2e_k1_seed01', 'e2e', 'e2e_k_seed0']
)
def test_other_folders_are_no_runs(name):
    assert Run.named(name) is None


def test_sizes_replace_what_a_config_says_and_add_nothing():
    config = {'a': {'width': 1, 'norm': {'type': 'SyncBN', 'eps': 1}}, 'b': None, 'c': (1, 2)}
    sizes = {'a': {'width': 2, 'depth': 3, 'norm': {'type': 'BN'}}, 'c': (3,), 'd': {'width': 4}}
    expected = {'a': {'width': 2, 'norm': {'type': 'BN'}}, 'b': None, 'c': (3,)}
    assert resized(config, sizes) == expected


@pytest.mark.parametrize(
    'path',
    [path for path in SUITES if has('mmpretrain') or path.stem != 'cifar10'],
    ids=lambda path: path.stem,
)
def test_methods_of_a_suite_differ_in_the_backbone_and_in_what_they_name(path):
    suite = load_config(path)
    for run in select_runs(suite, list(suite.methods), seeds=[0]):
        first = run_config(suite, Run('e2e', 1, 0))
        encoder = first.model.backbone.encoder.to_dict()
        changes = suite.methods[run.method].get('config', {})
        first.merge_from_dict(changes)
        expected, config = first.to_dict(), run_config(suite, run).to_dict()
        expected['model'].pop('backbone')
        other = config['model'].pop('backbone')
        stages = config.pop('stages', [])
        assert stages == [{}] * (run.modules if run.method == 'infopro_async' else 0)
        assert config == expected
        assert other.pop('encoder') == encoder
        named = changes.get('model', {}).get('backbone', {}).keys()
        assert other.keys() <= {'type', 'cuts', 'num_modules', 'local_head', *OPTIONS, *named}
