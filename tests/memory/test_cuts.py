"""Balanced cuts against complete traces of every cut, and the additive model against complete traces."""

import logging

import pytest
from mmengine import Config
from mmengine.logging import MMLogger

from infopro_seg.errors import ConfigError
from infopro_seg.memory import resolve_cuts
from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.search import recipe_search
from infopro_seg.memory.search.partition import module_peaks, partition_at
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.models.losses import upsampled_cross_entropy
from infopro_seg.models.recomputation.recompute import POLICIES
from tests.memory.short_resnets import short_encoder
from tests.memory.traces import profile_once, trace_once
from tests.stand_ins import head_config, local_head_config, model_config

CROP = (64, 64)


def config_with(num_modules=None, **kwargs):
    kwargs = {'encoder': short_encoder(), **kwargs}
    model = model_config((), local_head=local_head_config(), **kwargs)
    model['backbone']['local_head'] = local_head_config()
    if num_modules is not None:
        model['backbone']['num_modules'] = num_modules
    return Config(
        {
            'model': {**model, 'data_preprocessor': {**model['data_preprocessor'], 'size': CROP}},
            'crop_size': CROP,
            'train_dataloader': {'batch_size': 2},
            'optim_wrapper': {
                'type': 'OptimWrapper',
                'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9},
            },
        }
    )


def traced_with(cuts, policies=None, amp=None, accumulation=1):
    config = config_with()
    config.model.backbone.cuts = cuts
    config.model.backbone.checkpoint = policies or False
    return trace_once(config, 2, CROP, amp, accumulation=accumulation)


CASES = [
    ((), ['none']),
    (('layer2.0', 'layer3.1'), ['none', 'none', 'none']),
    (('stem', 'layer3.0'), ['none', 'blocks', 'norms']),
    (('layer3.1',), ['blocks', 'expansions']),
    ((), 'stem-layer1: norms*2, layer2-layer3.0: expansions*3, layer3.1-layer4: blocks*2'),
    (('layer3.1',), 'expansions*3'),
]


@pytest.mark.parametrize(
    ('amp', 'accumulation', 'cases'), [(None, 1, CASES), ('fp16', 1, CASES[1:3]), (None, 2, CASES[1:3])]
)
def test_additive_model_equals_complete_traces(amp, accumulation, cases):
    used = [policy for policy in POLICIES[1:] if policy in repr(cases)]
    chain = profile_once(config_with(), 2, CROP, amp, accumulation=accumulation, policies=used)
    names = [block.name for block in chain.blocks]
    # accumulation frees each new gradient at once, where the model lets a piece's own gradients add up
    close = {'rel': 0.002 if accumulation == 1 else 0.05}
    for cuts, policies in cases:
        partition = partition_at(ModuleCosts(chain), [names.index(cut) + 1 for cut in cuts], policies)
        trace = traced_with(cuts, policies, amp, accumulation)
        assert partition.peak == pytest.approx(trace.peak, **close)
        assert partition.flops == trace.flops
        predicted = module_peaks(chain, partition)
        assert predicted == pytest.approx([module.peak for module in trace.modules], **close)


def test_outputs_that_blocks_keep_too_are_alive_while_the_heads_run_backward(monkeypatch):
    """The auxiliary head reads layer3: its output goes with that head only if no later block reads it."""
    monkeypatch.setattr(upsampled_cross_entropy, 'STRIP_BYTES', 2**15)  # logits small beside the features
    lean = {'num_classes': 2, 'loss_decode': {'type': 'LeanCrossEntropyLoss'}}
    config = config_with(
        encoder=short_encoder(5, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
        decode_head=head_config(type='ASPPHead', in_index=3, **lean, channels=48, dilations=(1, 2, 3)),
        auxiliary_head=head_config(in_index=2, **lean),
    )
    size = (128, 128)
    chain = profile_once(config, 2, size, policies=['blocks'])
    names = [block.name for block in chain.blocks]
    for cuts, policy in [((), 'none'), (('layer2.0',), 'none'), (('layer3.0',), 'none'), ((), 'blocks')]:
        partition = partition_at(ModuleCosts(chain), [names.index(cut) + 1 for cut in cuts], policy)
        config.model.backbone.update(cuts=cuts, checkpoint=policy)
        trace = trace_once(config, 2, size)
        assert policy == 'blocks' or partition.modules[-1].where == 'the backward of neck and heads'
        assert module_peaks(chain, partition)[-1] == pytest.approx(trace.modules[-1].peak, rel=0.002)


def test_balanced_cut_is_the_best_of_all_by_complete_traces():
    config = config_with(2)
    (cut,) = resolve_cuts(config).model.backbone.cuts
    names = traced_with(()).modules[0].blocks[:-1]
    peaks = {name: traced_with((name,)).peak for name in names}
    assert peaks[cut] == min(peaks.values())


def test_balanced_cut_with_checkpointing_is_the_best_of_all_by_complete_traces():
    config = config_with(2, encoder=short_encoder(5))
    policies = config.model.backbone.checkpoint = ['none', 'blocks']
    (cut,) = resolve_cuts(config).model.backbone.cuts
    peaks = {}
    for name in ('stem', 'layer1.0', 'layer2.0', 'layer3.0'):
        traced = config_with(encoder=short_encoder(5))
        traced.model.backbone.update(cuts=(name,), checkpoint=policies)
        peaks[name] = trace_once(traced, 2, CROP).peak
    assert peaks[cut] == min(peaks.values())


def planned(config, modules):
    return Planner(config, training_setup(config)).plan(modules)


def test_plans_and_balances_lists_of_local_heads(monkeypatch):
    monkeypatch.setattr(
        recipe_search, 'POLICIES', ('none', 'blocks')
    )  # those of the recipes; less to measure
    short = short_encoder(5)
    config = config_with(3, encoder=short)
    config.model.backbone.local_head = [local_head_config(), local_head_config(0.5)]
    resolved = resolve_cuts(config)
    assert resolved.model.backbone.cuts == resolve_cuts(config_with(3, encoder=short)).model.backbone.cuts
    both = Planner(config, training_setup(config))
    recipes = both.plan(range(2, 5)).recipes
    assert {recipe.modules for recipe in recipes} == {3}
    assert recipes[0].cuts == resolved.model.backbone.cuts
    with pytest.raises(ConfigError, match='lists 2 heads, but 4 local modules need 3'):
        both.plan([4])


def test_predicts_the_cuts_of_the_config_by_its_own_policies():
    config = config_with()
    config.model.backbone.cuts = ('layer2.0', 'layer3.1')
    config.model.backbone.checkpoint = ['none', 'blocks', 'norms']
    plan = planned(config, [3])
    plain, recipe = (one for one in plan.recipes if one.name.endswith('cuts of the config'))
    assert (plain.cuts, plain.recompute) == (recipe.cuts, False)
    assert recipe.cuts == config.model.backbone.cuts
    assert recipe.recompute == 'layer2.1-layer3: blocks, layer4: norms'
    assert recipe.peak == pytest.approx(traced_with(recipe.cuts, recipe.recompute).peak, rel=0.002)


def test_plan_refuses_unknown_cuts():
    config = config_with()
    config.model.backbone.cuts = ('layer3.9',)
    with pytest.raises(ConfigError, match=r"cannot cut ShortResNet after 'layer3\.9'.*choose from stem"):
        planned(config, [1])


def test_resolves_once_and_leaves_the_rest_alone(caplog):
    config = config_with(3)
    logger = MMLogger.get_current_instance()
    logger.setLevel(logging.INFO)
    logger.addHandler(caplog.handler)
    try:
        resolved = resolve_cuts(config)
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(logging.ERROR)
    assert config.model.backbone.num_modules == 3  # the original is unchanged
    assert 'num_modules' not in resolved.model.backbone
    assert len(resolved.model.backbone.cuts) == 2
    assert resolve_cuts(resolved) is resolved
    assert 'balanced for batch 2, crop 64x64' in caplog.text
    header, *rows = [
        line.split() for line in caplog.text.splitlines() if line[:1].isdigit() or 'peak' in line
    ]
    assert header == ['module', 'blocks', 'peak', 'MiB']
    modules = traced_with(resolved.model.backbone.cuts).modules
    for number, (row, module) in enumerate(zip(rows, modules, strict=True)):
        assert (row[0], row[1]) == (str(number), module.blocks[0])
        assert float(row[-1]) == pytest.approx(module.peak / 2**20, abs=0.051)


def test_one_module_is_end_to_end():
    assert resolve_cuts(config_with(1)).model.backbone.cuts == ()


@pytest.mark.parametrize('wrong', [0, -1, 2.5, True, 'four'])
def test_no_number_of_modules(wrong):
    with pytest.raises(ConfigError, match=r'num_modules=.*whole number, 1 or more'):
        resolve_cuts(config_with(wrong))


@pytest.mark.parametrize('wrong', [(8, 24), 8, ('8GiB', 24), '8GiB'])
def test_budgets_are_texts(wrong):
    config = config_with(2)
    config.model.backbone.update(balance='flops', budgets=wrong)
    message = r"budgets=.* one text with a unit per local module, e\.g\. budgets=\('8GiB'"
    with pytest.raises(ConfigError, match=message):
        resolve_cuts(config)


def test_more_modules_than_blocks():
    with pytest.raises(ConfigError, match=r'99 local modules, but the encoder has 7 blocks: stem, .* 1 to 7'):
        resolve_cuts(config_with(99))


def test_no_local_heads():
    config = config_with(2)
    config.model.backbone.local_head = None
    with pytest.raises(ConfigError, match='give the backbone a local_head'):
        resolve_cuts(config)


def test_encoder_without_rule():
    encoder = {'type': 'ERFNet'}
    with pytest.raises(ConfigError, match='no block rule for the encoder ERFNet'):
        resolve_cuts(config_with(2, encoder=encoder))


def test_neither_batch_nor_crop():
    config = config_with(2)
    config.pop('train_dataloader')
    with pytest.raises(ConfigError, match=r'train_dataloader\.batch_size'):
        resolve_cuts(config)
    config = config_with(2)
    config.pop('crop_size')
    config.model.data_preprocessor.pop('size')
    with pytest.raises(ConfigError, match=r'data_preprocessor\.size'):
        resolve_cuts(config)
