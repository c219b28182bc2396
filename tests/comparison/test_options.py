"""What a suite can say beside its model: cuts by name, changes of a method, and the size of the real use."""

import json

import pytest

from infopro_seg.comparison import results
from infopro_seg.comparison.command import CompareRequest, compare
from infopro_seg.comparison.results import summarise, trace_settings
from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.comparison.tables import comparison_table
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError, DataError
from tests.comparison.test_results import MIB, RESULTS, cells
from tests.memory.traces import trace_once
from tests.runs import ROOT

CUTS = [['layer1.0'], ['layer1.0', 'layer2.1', 'layer3.0']]


@pytest.fixture
def suite():
    suite = load_config(ROOT / 'configs' / 'compare' / 'cpu.py')
    suite.comparison.cuts = CUTS
    return suite


def test_cuts_are_those_listed_for_the_number_of_modules(suite):
    for names in CUTS:
        assert list(run_config(suite, Run('infopro', len(names) + 1, 0)).model.backbone.cuts) == names
    with pytest.raises(ConfigError, match='no cuts for 8 local modules, only for 2, 4'):
        run_config(suite, Run('infopro', 8, 0))


def test_a_method_changes_what_it_names_and_nothing_else(suite):
    plain = run_config(suite, Run('infopro', 4, 1)).to_dict()
    suite.methods.infopro.config = {
        'model': {'decode_head': {'channels': 7}, 'backbone': {'local_head': {'decoder': None}}},
        'optim_wrapper': {'optimizer': {'lr': 0.5}},
    }
    changed = run_config(suite, Run('infopro', 4, 1)).to_dict()
    plain['model']['decode_head']['channels'] = 7
    plain['model']['backbone']['local_head']['decoder'] = None
    plain['optim_wrapper']['optimizer']['lr'] = 0.5
    assert changed == plain
    assert run_config(suite, Run('greedy', 2, 1)).model.decode_head.channels == 64


def test_the_real_use_is_traced_at_its_size(suite, tmp_path):
    suite.comparison.real_use = {'batch': 3, 'crop': (64, 64)}
    run = Run('infopro', 2, 0)
    trace_settings(suite, [run], tmp_path, lambda line: None)
    found = json.loads((tmp_path / 'traces.json').read_text())[run.setting]
    for traced, size in ((found, (8, (32, 64))), (found['real_use'], (3, (64, 64)))):
        trace = trace_once(run_config(suite, run), *size)
        assert (traced['peak_bytes'], traced['flops']) == (trace.peak, trace.flops)
    assert (found['real_use']['batch'], found['real_use']['crop']) == (3, [64, 64])


def test_all_methods_are_traced_at_the_size_that_the_suite_names_now(suite, tmp_path, monkeypatch):
    traced = []

    def note(parts, *size):
        traced.append(size)
        return {'peak_bytes': 1, 'flops': 1}

    monkeypatch.setattr(results, '_peak_and_flops', note)
    small, large = {'batch': 3, 'crop': (64, 64)}, {'batch': 4, 'crop': (64, 64)}
    counts = []
    for suite.comparison.real_use in (None, small, small, large, None):
        trace_settings(suite, [Run('e2e', 1, 0), Run('e2e', 1, 1)], tmp_path, lambda line: None)
        counts.append(len(traced))
    assert counts == [1, 3, 3, 5, 6]  # at the size of the training, and at that of the real use
    assert traced == [(), (), (3, (64, 64)), (), (4, (64, 64)), ()]


def test_the_table_shows_the_real_use_where_there_is_one():
    size = {'batch': 4, 'crop': [512, 1024]}
    runs = [
        {
            **result,
            'traced': {
                **result['traced'],
                'real_use': {'peak_bytes': peak * MIB, 'flops': flops, **size},
            },
        }
        for result, peak, flops in zip(RESULTS[:2], (100, 40), (1000, 1100), strict=True)
    ]
    header, _, e2e, greedy = cells(comparison_table(summarise(runs)))
    column = header.index('peak MiB, traced at batch 4, 512x1024')
    assert (e2e[column], greedy[column]) == ('100.0', '40.0')
    column = header.index('FLOPs of E2E, traced')
    assert (e2e[column], greedy[column]) == ('1.000', '1.100')


def test_a_suite_of_real_data_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('infopro_seg.comparison.command.write_configs', lambda *_: {})
    suite = ROOT / 'configs' / 'compare' / 'camvid.py'
    weights = tmp_path / load_config(suite).model.backbone.encoder.init_cfg.checkpoint
    weights.parent.mkdir(parents=True)
    weights.touch()
    request = CompareRequest(suite, tmp_path / 'out', methods=['e2e'], seeds=[0])
    with pytest.raises(DataError, match=r'no folder data/camvid/train; .*prepare_camvid\.py'):
        compare(request, lambda line: None)
