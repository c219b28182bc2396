import json
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.text import Text

from infopro_seg.models import iter_blocks
from infopro_seg.models.encoder import build_encoder
from infopro_seg.probing.depth_plot import depth_figure, shared_prefix, stage_of
from infopro_seg.probing.results import ProbeResults, Subject, markdown, write_json
from infopro_seg.probing.sheet import COLUMNS, sheet_figure, spread_names
from tests.models.encoder_list import hrnet, swin
from tests.stand_ins import encoder_config

THIN = {'num_stages': 3, 'strides': (1, 2, 1), 'dilations': (1, 1, 2), 'out_indices': (0, 1, 2)}
ENCODERS = {
    'thin ResNet-34': encoder_config(depth=34, **THIN),
    'ResNet-101': encoder_config(depth=101),
    'Swin': swin(),
    'HRNet': hrnet(),
}
IGNORANCE = {'bce': 0.69, 'mse': 0.08, 'psnr': 10.97, 'bce_floor': 0.4, 'mIoU': 0.021, 'accuracy': 0.4}
LABELS = ('E2E', 'greedy SL', 'InfoPro')


def make_results(names, cuts=((), (), ()), chosen=None, size=(8, 16)):
    random = np.random.default_rng(0)

    def scores():
        mse, bce, *rest = random.random(6).tolist()
        kinds = {kind: {'mIoU': rest.pop(), 'accuracy': rest.pop()} for kind in ('linear', 'mlp')}
        return {'bce': bce, 'mse': mse, 'psnr': -10 * np.log10(mse), **kinds}

    def pictures():
        return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2)]

    chosen = chosen or names
    subjects = [
        Subject(label, f'{label}.pth', own, {n: scores() for n in chosen}, {n: pictures() for n in chosen})
        for label, own in zip(LABELS, cuts, strict=True)
    ]
    return ProbeResults(names, subjects, IGNORANCE, pictures(), {'iterations': 7, 'batch': 2, 'seed': 0})


def names_of(encoder):
    return [block.name for block in iter_blocks(build_encoder(ENCODERS[encoder]))]


def drawn(figure):
    figure.canvas.draw()
    return figure


def texts(figure):
    """Every text that a figure shows, with where it lies in pixels."""
    hidden = [  # ticks that matplotlib keeps beyond the limits of an axis
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        if not axis.get_view_interval()[0] <= tick.get_loc() <= axis.get_view_interval()[1]
        for label in (tick.label1, tick.label2)
    ]
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found if text not in hidden]


def assert_readable(figure):
    found = texts(figure)
    assert len(found) > 3
    for (first, box), (second, other) in combinations(found, 2):
        assert not box.overlaps(other), f'{first!r} and {second!r} overlap'
    for text, box in found:
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width, text
        assert 0 <= box.y0 < box.y1 <= figure.bbox.height, text


@pytest.mark.parametrize('encoder', ENCODERS)
def test_no_label_of_either_picture_lies_over_another(encoder):
    names = names_of(encoder)
    results = make_results(names, ((), (names[1],), (names[2], names[4])))
    assert_readable(drawn(depth_figure(results)))
    assert_readable(drawn(sheet_figure(results)))


def test_the_plot_shows_every_score_at_its_depth():
    names = list('abcdefg')
    results = make_results(names, ((), ('d',), ('b', 'd', 'f')), chosen=['b', 'd', 'e', 'g'])
    panels = drawn(depth_figure(results)).axes
    reads = [
        lambda row: row['mse'],
        lambda row: row['linear']['mIoU'],
        lambda row: row['mlp']['mIoU'],
    ]
    for panel, read, nothing in zip(panels, reads, (0.08, 0.021, 0.021), strict=True):
        lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in panel.lines]
        for index, subject in enumerate(results.subjects):
            values = [read(row) for row in subject.blocks.values()]
            assert ([1, 3, 4, 6], values) in lines
            cuts = [[], [1], [0, 1]][index]  # of the cuts only those that were looked into
            assert ([(1, 3, 4, 6)[i] for i in cuts], [values[i] for i in cuts]) in lines
        assert any(set(values) == {nothing} for _, values in lines)
    assert panels[1].get_ylim() == panels[2].get_ylim()
    [legend] = panels[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *LABELS,
        'end of a local module',
        'knowing nothing',
    ]


def test_without_cuts_the_legend_does_not_speak_of_them():
    [legend] = depth_figure(make_results(list('ab'))).legends
    assert 'end of a local module' not in [text.get_text() for text in legend.get_texts()]


def test_the_sheet_has_a_row_per_image_and_checkpoint():
    names = [f'layer1.{index}' for index in range(9)]
    results = make_results(names)
    shown = spread_names(names, COLUMNS)
    cells = [axes.images[0].get_array() for axes in sheet_figure(results).axes]
    boxes = [axes.get_position() for axes in sheet_figure(results).axes]
    expected = []
    for index, image in enumerate(results.images):
        expected.append(image)
        expected += [s.reconstructions[name][index] for s in results.subjects for name in shown]
    assert len(cells) == len(expected)
    for cell, picture in zip(cells, expected, strict=True):
        assert np.array_equal(cell, picture)
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    rows = [boxes[start : start + COLUMNS] for start in (1, 1 + COLUMNS, 1 + 2 * COLUMNS)]
    assert all(len({round(box.y0, 6) for box in row}) == 1 for row in rows)
    assert rows[0][0].y0 > rows[1][0].y0 > rows[2][0].y0
    assert all(a.x0 < b.x0 for row in rows for a, b in pairwise(row))


def test_names_are_spread_from_the_first_to_the_last():
    assert spread_names(list('abcdefghijk'), 6) == list('acegik')
    assert spread_names(list('abc'), 6) == list('abc')
    assert spread_names(['a'], 6) == ['a']


@pytest.mark.parametrize(
    ('name', 'stage'),
    [('stem', 'stem'), ('layer3.12', 'layer3'), ('stages.0.blocks.1', 'stages.0'), ('layers.7', 'layers.7')],
)
def test_stages_are_named_after_the_blocks_in_them(name, stage):
    assert stage_of(name) == stage


def test_the_tables_hold_every_score():
    results = make_results(['a', 'b'], ((), ('a',), ()))
    lines = markdown(results).splitlines()
    start = lines.index('### mIoU of the classifier with one hidden layer')
    e2e, greedy, infopro = (
        [f'{row["mlp"]["mIoU"]:.3f}' for row in subject.blocks.values()] for subject in results.subjects
    )
    assert lines[start + 2 : start + 7] == [
        '| block | E2E | greedy SL | InfoPro |',
        '| --- | ---: | ---: | ---: |',
        f'| `a` | {e2e[0]} | **{greedy[0]}** | {infopro[0]} |',
        f'| `b` | {e2e[1]} | {greedy[1]} | {infopro[1]} |',
        '| knowing nothing | 0.021 | 0.021 | 0.021 |',
    ]
    for text in ('0.0800', '10.97', '0.6900', '0.400'):
        assert f'| knowing nothing | {text} | {text} | {text} |' in lines


def test_the_json_tells_depths_of_the_whole_encoder(tmp_path):
    results = make_results(list('abcd'), ((), ('b',), ()), chosen=['b', 'd'])
    write_json(results, tmp_path / 'results.json')
    content = json.loads((tmp_path / 'results.json').read_text())
    assert content['settings'] == results.settings
    assert content['ignorance'] == IGNORANCE
    entry = content['checkpoints'][1]
    assert (entry['label'], entry['checkpoint'], entry['cuts']) == ('greedy SL', 'greedy SL.pth', ['b'])
    blocks = results.subjects[1].blocks
    assert entry['blocks'] == [
        {'block': 'b', 'depth': 2, **blocks['b']},
        {'block': 'd', 'depth': 4, **blocks['d']},
    ]


@pytest.mark.parametrize(
    ('names', 'shared'),
    [
        (['timm_model.bn1', 'timm_model.blocks.0.0', 'timm_model.blocks.0.1'], 'timm_model.'),
        (['stages.0.blocks.0', 'stages.0.blocks.1', 'stages.1.blocks.0'], ''),
        (['layer1.0.conv', 'layer1.1.conv'], ''),
        (['stem', 'layer1.0', 'layer1.1'], ''),
        (['stem', 'stages.0', 'stages.1'], ''),
        (['stem'], ''),
    ],
)
def test_stages_are_named_without_what_all_names_share(names, shared):
    assert shared_prefix(names) == shared
    axes = depth_figure(make_results(names)).axes
    ticks = [label.get_text() for label in axes[0].get_xticklabels()]
    assert ticks == list(dict.fromkeys(stage_of(name.removeprefix(shared)) for name in names))
