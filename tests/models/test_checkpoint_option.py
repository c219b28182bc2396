"""What `checkpoint` of a config says, and networks that train by it, bit by bit as without it."""

import random

import pytest
import torch

from infopro_seg.errors import ConfigError
from infopro_seg.models.ddp import LocalDistributedDataParallel
from infopro_seg.models.recomputation.recompute_option import KEPT, Segment, module_segments, show_option
from tests.models.test_recompute import CUTS, assert_same, build, model_config, trained

NAMES = ['stem', *(f'layer1.{i}' for i in range(3)), *(f'layer2.{i}' for i in range(4)), 'layer3.0']
WHOLE, HALVES = [NAMES], [NAMES[:6], NAMES[6:]]


def by_block(segments):
    """Policy and length of each segment, one entry per block: its policy, and which segment it is in."""
    return [(segment.policy, index) for index, segment in enumerate(segments) for _ in range(segment.length)]


@pytest.mark.parametrize(
    ('option', 'expected'),
    [
        (False, 'nnnnnnnnn'),
        (True, 'bbbbbbbbb'),
        ('norms', 'ooooooooo'),
        ([0, 1], 'bbbbbb bbb'),
        ([1], 'nnnnnn bbb'),
        (['expansions', 'none'], 'eeeeee nnn'),
        ('layer1: norms', 'nooonnnnn'),
        (' layer1.1 - layer2.1:blocks ,stem:norms,', 'onbbbbnnn'),
        (['layer1: norms', 'layer2: blocks'], 'nooonn bbn'),
    ],
)
def test_one_policy_for_each_block(option, expected):
    letters = {'n': 'none', 'o': 'norms', 'e': 'expansions', 'b': 'blocks'}
    names = HALVES if isinstance(option, list) else WHOLE
    found = module_segments(option, names)
    assert [[s.policy for s in segments] for segments in found] == [
        [letters[letter] for letter in part] for part in expected.split()
    ]
    assert all(segment.length == 1 for segments in found for segment in segments)


@pytest.mark.parametrize(
    ('option', 'lengths'),
    [
        ('blocks*4', [[4, 2], [3]]),
        ('norms*', [[6], [3]]),
        ('layer1: norms*2, layer2: expansions*3', [[1, 2, 1, 2], [2, 1]]),  # anew after the cut
        ('layer1.1-layer2.2: blocks*', [[1, 1, 4], [1, 1, 1]]),
        (['none*5', 'blocks*2'], [[1] * 6, [2, 1]]),
        ('layer3: blocks*9', [[1] * 6, [1, 1, 1]]),
    ],
)
def test_segments_end_with_their_length_their_blocks_and_at_cuts(option, lengths):
    found = module_segments(option, HALVES)
    assert [[segment.length for segment in segments] for segments in found] == lengths


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ('all', "unknown checkpoint policy 'all'; choose from none, norms"),
        ('blocks*0', 'segments of no blocks'),
        ('blocks*-1', r"unknown checkpoint policy 'blocks\*-1'"),
        ('layer1: all', "unknown checkpoint policy ' all'"),
        ('layer9: norms', "names 'layer9', which is neither a block nor a stage here; choose from stem, lay"),
        ('layer1: norms, blocks', "'blocks' names no blocks; write e.g."),
        ('layer1.2-layer1.1: norms', "'layer1.1' comes before 'layer1.2'"),
        (
            'layer1: norms, layer1.2-layer2.1: blocks*2',
            "names 'layer1.2' twice, in 'layer1' and in 'layer1.2-layer2.1'",
        ),
        (': norms', "names ''"),
        (['norms'], '1 policies for 2 local modules'),
        (['norms', 'layer1: norms'], "names 'layer1'.*choose from layer2.2, layer2.3, layer3.0$"),
        (1, 'checkpoint=1: give True, False, a policy such as .*, or a list with one for each local module'),
        (None, 'checkpoint=None: give True'),
        ({'layer1': 'norms'}, r"checkpoint=\{'layer1': 'norms'\}: give True"),
        ([0, 2], r'modules \[2\]; the 2 local modules are numbered 0 to 1'),
    ],
)
def test_wrong_options_are_named(option, message):
    with pytest.raises(ConfigError, match=message):
        module_segments(option, HALVES)


@pytest.mark.parametrize(
    ('option', 'text'),
    [
        (True, 'blocks'),
        ('none', False),
        ('expansions*3', 'expansions*3'),
        ('layer1: norms, layer2.0: norms', 'layer1-layer2.0: norms'),
        ('layer2: norms*2', 'layer2: norms*2'),
        ('stem-layer3: blocks', 'blocks'),
        ('layer3.0-layer3.0: blocks', 'layer3: blocks'),
        ('layer1.1-layer2: blocks*2', 'layer1.1-layer2: blocks*2'),
        ('layer1: norms*3, layer2: norms*4', 'layer1: norms*3, layer2: norms*4'),
    ],
)
def test_shows_the_shortest_text(option, text):
    assert show_option(module_segments(option, WHOLE), WHOLE) == text


@pytest.mark.parametrize('seed', range(40))
def test_shown_text_means_the_same_segments(seed):
    draw = random.Random(seed)
    for names in (WHOLE, HALVES):
        modules = []
        for blocks in names:
            segments, left = [], len(blocks)
            while left:
                length = draw.randint(1, min(4, left))
                policy = draw.choice(['none', 'norms', 'blocks'])
                segments += [KEPT] * length if policy == 'none' else [Segment(policy, length)]
                left -= length
            modules.append(tuple(segments))
        assert module_segments(show_option(modules, names), names) == tuple(modules)


MIXED = 'stem-layer1: norms*3, layer2: expansions*3, layer3.0-layer3.4: blocks*2, layer4: norms*'


@pytest.mark.parametrize('cuts', [(), CUTS])
@pytest.mark.parametrize('option', ['norms*4', 'expansions*3', 'blocks*5', MIXED])
def test_segments_train_the_same_network(cuts, option):
    """Losses, weights and the statistics of norms after two steps; dropout draws the same numbers."""
    assert_same(trained(build(model_config(cuts, checkpoint=option))), trained(build(model_config(cuts))))


def test_segments_train_the_same_network_in_a_distributed_wrapper(tmp_path):
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        wrapped = LocalDistributedDataParallel(build(model_config(CUTS, checkpoint=MIXED)))
        found = {key.removeprefix('module.'): value for key, value in trained(wrapped).items()}
    finally:
        torch.distributed.destroy_process_group()
    assert_same(found, trained(build(model_config(CUTS))))


def test_each_block_of_a_segment_runs_twice():
    model = build(model_config(CUTS, checkpoint=MIXED))
    runs = {}
    for name, module in model.backbone.encoder.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda *_, name=name: runs.update({name: runs.get(name, 0) + 1}))
    trained(model)  # two steps
    kept = [f'layer3.5.bn{i}' for i in (1, 2, 3)]
    assert {name for name, count in runs.items() if count == 2} == set(kept)
    assert {count for name, count in runs.items() if name not in kept} == {4}
