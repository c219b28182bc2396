import json
import statistics

import matplotlib.colors
import numpy as np
import pytest

from infopro_seg.comparison import plots
from infopro_seg.comparison.results import largest_peaks, mean_curve, read_runs, read_scalars, summarise
from infopro_seg.comparison.suite import Run
from infopro_seg.comparison.tables import class_table, comparison_table
from infopro_seg.errors import ConfigError

MIB = 2**20


def result(method, modules, seed, miou, road=None, seconds=0.1, curve=()):
    return {
        'method': method,
        'modules': modules,
        'seed': seed,
        'stages': 1,
        'mIoU': miou,
        'IoU': {'road': road, 'sky': None},
        'seconds_per_iteration': seconds,
        'traced': {'peak_bytes': 3 * MIB * modules, 'flops': 100 + 10 * modules},
        'measured': {'device': 'cpu', 'resident_bytes': 5},
        'curve': list(curve),
    }


RESULTS = [
    result('e2e', 1, 0, 0.5, 0.9, 0.1, [[10, 0.1], [20, 0.5]]),
    result('greedy', 2, 0, 0.25, 0.8, 0.3, [[10, 0.25]]),
    result('e2e', 1, 1, 0.6, None, 0.3, [[10, 0.3], [20, 0.6], [30, 1.0]]),
    result('e2e', 1, 2, 0.4, 0.7, 0.2, [[10, 0.2], [20, 0.4]]),
]


def test_a_row_holds_the_mean_and_the_spread_of_its_seeds():
    e2e, greedy = summarise(RESULTS)
    assert (e2e['method'], e2e['modules'], e2e['seeds']) == ('e2e', 1, [0, 1, 2])
    assert e2e['mIoU'] == pytest.approx(np.mean([0.5, 0.6, 0.4]))
    assert e2e['mIoU_sd'] == pytest.approx(np.std([0.5, 0.6, 0.4], ddof=1))
    assert e2e['IoU'] == {'road': pytest.approx(np.mean([0.9, 0.7])), 'sky': None}  # seed 1 saw no road
    assert e2e['seconds_per_iteration'] == np.median([0.1, 0.3, 0.2])
    assert (greedy['mIoU'], greedy['mIoU_sd'], greedy['seeds']) == (0.25, None, [0])


def test_a_row_is_compared_with_the_end_to_end_trainings_of_its_seeds():
    greedy = [result('greedy', 2, seed, miou) for seed, miou in ((1, 0.5), (2, 0.45), (3, 0.9))]
    e2e, row = summarise([*RESULTS[:1], *RESULTS[2:], *greedy])  # 0.5, 0.6 and 0.4; none with seed 3
    assert row['against_e2e'] == pytest.approx(np.mean([-0.1, 0.05]))
    assert row['against_e2e_sd'] == pytest.approx(np.std([-0.1, 0.05], ddof=1))
    header, _, first, second = cells(comparison_table([e2e, row]))
    column = header.index('against E2E, same seeds')
    spread = 100 * np.std([-0.1, 0.05], ddof=1)
    assert (first[column], second[column]) == ('', f'-2.50 ± {spread:.2f} (2 of 3 seeds)')


def test_without_end_to_end_training_nothing_is_compared():
    [row] = summarise([RESULTS[1]])
    assert (row['against_e2e'], row['against_e2e_sd']) == (None, None)
    assert 'against' not in comparison_table([row])


def test_a_mean_curve_has_the_iterations_that_all_seeds_share():
    curve = mean_curve([result for result in RESULTS if result['method'] == 'e2e'])
    assert curve == [(10, pytest.approx(0.2)), (20, pytest.approx(0.5))]


def test_the_peak_of_stages_is_the_largest_of_those_that_were_measured():
    stages = [{'device': 'GPU', 'a': 9, 'b': 1}, {'device': 'GPU', 'a': 3, 'b': 2}, {'device': 'GPU'}]
    assert largest_peaks(stages) == {'device': 'GPU', 'a': 9, 'b': 2}


def test_a_resumed_run_is_read_in_the_order_of_its_logs(tmp_path):
    for folder, lines in (('20260102_000000', [3, 4]), ('20260101_000000', [1, 2])):
        (tmp_path / folder / 'vis_data').mkdir(parents=True)
        text = ''.join(json.dumps({'step': step}) + '\n' for step in lines)
        (tmp_path / folder / 'vis_data' / 'scalars.json').write_text(text)
    assert [entry['step'] for entry in read_scalars(tmp_path)] == [1, 2, 3, 4]


def test_what_is_left_of_a_line_is_skipped(tmp_path):
    for folder, text in (('1', '{"step": 1}\n{"step": 2, "lo'), ('2', '{"step": 2}\n12\n{"step": 3}\n')):
        (tmp_path / folder / 'vis_data').mkdir(parents=True)
        (tmp_path / folder / 'vis_data' / 'scalars.json').write_text(text)
    assert read_scalars(tmp_path) == [{'step': 1}, {'step': 2}, {'step': 3}]


def cells(table):
    return [[cell.strip() for cell in line.strip('|\n').split('|')] for line in table.splitlines()]


def test_the_table_shows_percent_and_traced_shares_of_e2e():
    header, _, e2e, greedy = cells(comparison_table(summarise(RESULTS)))
    assert header == [
        'method',
        'K',
        'mIoU % (mean ± sd)',
        'against E2E, same seeds',
        'seeds',
        'peak MiB, traced',
        'FLOPs of E2E, traced',
        's per iteration',
    ]
    spread = 100 * statistics.stdev([0.5, 0.6, 0.4])
    assert e2e == ['e2e', '1', f'50.00 ± {spread:.2f}', '', '3', '3.0', '1.000', '0.200']
    assert greedy == ['greedy', '2', '25.00', '-25.00', '1', '6.0', f'{120 / 110:.3f}', '0.300']


def test_measured_peaks_have_a_column_of_their_own():
    measured = {**RESULTS[0], 'measured': {'device': 'GPU', 'allocated_bytes': 7 * MIB}}
    header, _, e2e, greedy = cells(comparison_table(summarise([measured, RESULTS[1]])))
    column = header.index('peak MiB, measured on GPU')
    assert (e2e[column], greedy[column]) == ('7.0', '')
    assert e2e[header.index('peak MiB, traced')] == '3.0'


def test_classes_that_were_never_seen_have_no_iou():
    header, _, road, sky = cells(class_table(summarise(RESULTS)))
    assert header == ['class', 'e2e K=1', 'greedy K=2']
    assert road == ['road', '80.0', '80.0']
    assert sky == ['sky', '', '']


def test_runs_whose_validation_has_no_labels_are_shown_without_a_score():
    e2e, row = summarise([result('e2e', 1, 0, None), result('greedy', 2, 0, 0.5)])
    assert (e2e['mIoU'], e2e['mIoU_sd'], row['mIoU'], row['against_e2e']) == (None, None, 0.5, None)
    assert ['e2e', '1', '', '1'] in [line[:4] for line in cells(comparison_table([e2e, row]))]


@pytest.mark.parametrize('count', [2, 10, 12, 20])
def test_every_method_has_a_color_of_its_own(count):
    rows = [{'method': f'method_{index}'} for index in range(count)]
    colors = [matplotlib.colors.to_hex(plots._color(rows, row['method'])) for row in rows]
    assert len(set(colors)) == count


def finished_run(out, **scores):
    folder = out / 'runs' / 'e2e_k1_seed0'
    folder.mkdir(parents=True)
    about = {'iterations': 1, 'peak_memory': {'device': 'cpu'}, 'versions': {}}
    (folder / 'metrics.json').write_text(json.dumps({'IoU': {}, **scores, **about}))
    (out / 'traces.json').write_text(json.dumps({'e2e_k1': {'peak_bytes': 1, 'flops': 1}}))
    return Run('e2e', 1, 0)


def test_a_metric_that_no_run_has_is_named(tmp_path):
    finished = finished_run(tmp_path, mIoU=0.5, percent={'aAcc': 60.0, 'mIoU': 50.0})
    [run] = read_runs([finished], tmp_path, 'aAcc')
    assert run['aAcc'] == 0.6
    with pytest.raises(ConfigError, match=r'mIou, .* which have aAcc, mIoU; set comparison\.metric'):
        read_runs([finished], tmp_path, 'mIou')


@pytest.mark.parametrize(('percent', 'expected'), [(50.0, 0.5), (None, None)])
def test_runs_whose_miou_is_noted_in_percent_alone_are_read(tmp_path, percent, expected):
    """Earlier versions left it out of `mIoU` where the metric was mmseg's own; None is without labels."""
    [run] = read_runs([finished_run(tmp_path, mIoU=None, percent={'mIoU': percent})], tmp_path)
    assert run['mIoU'] == expected
