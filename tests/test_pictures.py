"""Each kind of picture shows a known colour at a known place."""

from collections import Counter
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from infopro_seg.comparison.plots import plot_curves, plot_memory
from infopro_seg.comparison.results import summarise
from infopro_seg.datasets.checks.class_plot import plot_classes
from infopro_seg.datasets.checks.inspection import IGNORED, Loading, Pair
from infopro_seg.datasets.checks.samples import draw_samples
from infopro_seg.memory.measuring.benchmark import plot
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.plan_output import plot_plan
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.probing.depth_plot import depth_figure
from infopro_seg.probing.sheet import sheet_figure
from infopro_seg.visualization.panel import draw_panel
from tests.comparison.test_results import RESULTS
from tests.probing.test_results import make_results
from tests.runs import read_png
from tests.stand_ins import CLASSES, SIZE, build, model_config

MIB, GIB = 2**20, 2**30
PALETTE = [[200, 30, 40], [20, 180, 60], [30, 60, 220], [240, 200, 10], [120, 0, 160]]
GREY, SKY = (90, 90, 90), (10, 120, 250)


@pytest.fixture
def saved(monkeypatch):
    """The figures that are saved."""
    figures, save = [], Figure.savefig

    def keep(figure, *args, **kwargs):
        figures.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', keep)
    return figures


def colors_around(axes, point):
    """The colours, from 0 to 1, of the pixel where a point of the axes lies, and of those beside it."""
    canvas = axes.figure.canvas
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3] / 255
    x, y = axes.transData.transform(point).astype(int)
    y = len(picture) - 1 - y
    return picture[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)


def assert_shown(axes, point, color):
    if not isinstance(color, str):
        color = tuple(value / 255 for value in color)
    distance = np.abs(colors_around(axes, point) - to_rgb(color)).max(1)
    assert distance.min() < 0.06, (point, color)


def one_image():
    """A data set of one image, all sky: left half class 1, right half ignored."""
    height, width = SIZE
    label = torch.full((1, height, width), IGNORED)
    label[..., : width // 2] = 1
    sample = SegDataSample(gt_sem_seg=PixelData(data=label))
    sample.set_metainfo({'img_shape': SIZE, 'ori_shape': SIZE, 'pad_shape': SIZE})
    blue_first = torch.tensor(SKY[::-1], dtype=torch.uint8).view(3, 1, 1).expand(3, *SIZE)

    class Data(list):
        metainfo = {'classes': list('abcde'), 'palette': PALETTE}

    return Data([{'inputs': blue_first, 'data_samples': sample}])


def test_a_panel_shows_the_image_and_the_colours_of_labels_and_predictions(saved, tmp_path):
    """The network predicts class 3 everywhere."""
    model = build(model_config(), double=False)
    with torch.no_grad():
        model.decode_head.conv_seg.weight.zero_()
        model.decode_head.conv_seg.bias.copy_(torch.eye(CLASSES)[3])
    height, width = SIZE
    draw_panel(model, one_image(), tmp_path / 'panel.png')
    image, truth, prediction, *decoded = saved[0].axes
    assert len(decoded) == 2
    left, right = (width // 4, height // 2), (3 * width // 4, height // 2)
    assert_shown(image, left, SKY)
    assert_shown(truth, left, PALETTE[1])
    assert_shown(truth, right, 'black')
    assert_shown(prediction, left, PALETTE[3])
    assert_shown(prediction, right, PALETTE[3])
    [legend] = saved[0].legends
    entries = [
        (text.get_text(), patch.get_facecolor())
        for text, patch in zip(legend.texts, legend.get_patches(), strict=True)
    ]
    assert [name for name, _ in entries] == [*'abcde', 'ignored']
    assert entries[-1][1][:3] == (0, 0, 0)


def test_curves_and_memory_show_each_method_in_its_colour(saved, tmp_path):
    rows = summarise(RESULTS)
    plot_curves(rows, tmp_path / 'curves.png')
    plot_memory(rows, tmp_path / 'memory.png')
    curves, memory = (figure.axes[0] for figure in saved)
    assert_shown(curves, (10, 100 * np.mean([0.1, 0.3, 0.2])), 'C0')
    assert_shown(curves, (10, 25), 'C1')  # its only validation
    assert_shown(memory, (3, 50), 'C0')
    assert_shown(memory, (6, 25), 'C1')


E2E = Recipe('E2E', (), False, False, peak=2 * GIB, flops=100, bound='', stock=True)
CUT = Recipe('InfoPro* K=2', ('layer3.1',), False, False, peak=GIB, flops=110, bound='')
FROZEN = Recipe('E2E, 1 stage frozen', (), False, False, peak=GIB, flops=70, bound='', frozen_stages=1)


def test_a_plan_shows_recipes_by_their_flops_and_bytes(saved, tmp_path):
    plot_plan(Plan(TrainingSetup(2, SIZE), E2E, (E2E, CUT, FROZEN), stock=True), tmp_path / 'plan.png')
    [axes] = saved[0].axes
    for point, color in (((1.0, 2.0), 'C0'), ((1.1, 1.0), 'C1'), ((0.7, 1.0), 'C2')):
        assert_shown(axes, point, color)


def test_a_benchmark_shows_recipes_by_their_seconds_and_bytes(saved, tmp_path):
    measured = ((0.5, 2 * GIB), (0.6, GIB), (0.7, GIB))
    rows = [{'measured': {'seconds': seconds, 'live_bytes': size}} for seconds, size in measured]
    plot((E2E, CUT, FROZEN), rows, tmp_path / 'results.png')
    [axes] = saved[0].axes
    for point, color in (((0.5, 2.0), 'C0'), ((0.6, 1.0), 'C1'), ((0.7, 1.0), 'C2')):
        assert_shown(axes, point, color)


def test_depths_and_reconstructions_are_drawn_where_they_belong():
    report = make_results(list('abcd'))
    for index, subject in enumerate(report.subjects):
        for shade, name in enumerate('abcd'):
            subject.reconstructions[name][0][:] = (10 + 60 * index, 50 * shade, 200)
    panels = depth_figure(report).axes
    for index, subject in enumerate(report.subjects):
        assert_shown(panels[0], (1, subject.blocks['b']['mse']), f'C{index}')
    axes = sheet_figure(report).axes
    for index in range(3):
        for shade in range(4):
            assert_shown(axes[1 + 4 * index + shade], (8, 4), (10 + 60 * index, 50 * shade, 200))


@pytest.fixture
def report(tmp_path):
    """What a check found of one grey image: class 1 on three quarters of it, on the left, the rest 0."""
    label = np.zeros((60, 80), np.uint8)
    label[:, :60] = 1
    image, masked = tmp_path / 'image.png', tmp_path / 'label.png'
    cv2.imwrite(str(image), np.full((60, 80, 3), GREY, np.uint8))
    cv2.imwrite(str(masked), label)
    present = np.isin(np.arange(256), (0, 1))
    pixels = np.zeros(256)
    pixels[:2] = 1200, 3600
    split = SimpleNamespace(name='train', classes=('a', 'b'), palette=PALETTE[:2])
    pair = Pair(image, masked, Loading(np.arange(256, dtype=np.uint8), 2))
    return SimpleNamespace(
        split=split,
        usable=[(pair, present)],
        pixels=pixels,
        images=present.astype(int),
        labels=1,
        ignored_share=0.0,
        sizes=Counter(),
    )


def test_a_check_shows_samples_beside_their_labels_and_bars_in_the_colours_of_classes(
    report, saved, tmp_path
):
    assert draw_samples(report, tmp_path / 'samples.png')
    plot_classes(report, tmp_path / 'classes.png')
    [sample], [bars] = (figure.axes for figure in saved)
    assert_shown(sample, (30, 30), GREY)
    picture = sample.images[0].get_array()
    assert picture.shape == (60, 80 + 6 + 80, 3)
    for x, index in ((86 + 30, 1), (86 + 70, 0)):
        assert_shown(sample, (x, 30), 0.45 * np.array(GREY) + 0.55 * np.array(PALETTE[index]))
    for index, share in enumerate((0.25, 0.75)):
        assert_shown(bars, (0.9 * share, index), PALETTE[index])
        assert_shown(bars, (1.1 * share, index + 0.3), 'white')
    assert read_png(tmp_path / 'classes.png').shape[1] == 9 * 120
