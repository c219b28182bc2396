"""A run that goes on by another recipe keeps all that both recipes have, by name."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage
from mmengine.optim import build_optim_wrapper

from infopro_seg.hooks.recipe_change import RecipeChangeHook
from infopro_seg.models.train_step import local_train_step
from tests.stand_ins import build, make_batch, model_config

TWO, THREE, OTHERS = ('layer2.0',), ('layer1.1', 'layer2.0'), ('layer1.0', 'layer3.1')
WHOLE = {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.01, 'momentum': 0.9}}
BY_PARAMETER = {**WHOLE, 'paramwise_cfg': {'norm_decay_mult': 0.0}}
BY_PARAMETER['optimizer'] = {'type': 'AdamW', 'lr': 0.01, 'weight_decay': 0.1}


class Run:
    """A model and its optimizer, which have trained for some iterations."""

    def __init__(self, cuts, wrapper, iterations=0, seed=0, **backbone):
        config = model_config(cuts)
        config['backbone'].update(backbone)
        self.cfg = Config(
            {'model': config, 'optim_wrapper': wrapper, 'train_dataloader': {'batch_size': 2}, 'fit': {}}
        )
        self.model = build(config, seed, double=False)
        self.optim_wrapper = build_optim_wrapper(self.model, deepcopy(wrapper))
        for index in range(iterations):
            local_train_step(self.model, make_batch(seed=index), self.optim_wrapper)
        self.warnings = []

    def runner(self, resume=True):
        logger = SimpleNamespace(warning=self.warnings.append)
        cfg = Config({**self.cfg.to_dict(), 'fit': {'chosen': 1}})
        return SimpleNamespace(
            cfg=cfg, model=self.model, optim_wrapper=self.optim_wrapper, logger=logger, _resume=resume
        )

    def checkpoint(self):
        return {
            'meta': {'cfg': self.cfg.pretty_text},
            'state_dict': deepcopy(self.model.state_dict()),
            'optimizer': deepcopy(self.optim_wrapper.state_dict()),
            'param_schedulers': [{'base_values': [0.01]}],
        }

    def momenta(self):
        """What the optimizer knows of each parameter, by its name."""
        state = self.optim_wrapper.optimizer.state
        return {name: dict(state[p]) for name, p in self.model.named_parameters() if p in state}


def go_on(before, after, **more):
    """Loads the checkpoint of a run into another one, as mmengine's runner does."""
    checkpoint = {**before.checkpoint(), **more}
    RecipeChangeHook().after_load_checkpoint(after.runner(), checkpoint)
    after.model.load_state_dict(checkpoint['state_dict'])
    after.optim_wrapper.load_state_dict(checkpoint['optimizer'])
    return checkpoint


def of_cut(name):
    return '.local_heads.' in name or '.momentum_blocks.' in name


@pytest.mark.parametrize('wrapper', [WHOLE, BY_PARAMETER])
@pytest.mark.parametrize('cuts', [((), TWO), (TWO, THREE), (THREE, TWO), (THREE, ()), (THREE, OTHERS)])
def test_what_both_recipes_have_goes_on_and_the_rest_starts_afresh(wrapper, cuts):
    before, after = Run(cuts[0], wrapper, 2), Run(cuts[1], wrapper, seed=1)
    fresh = deepcopy(after.model.state_dict())
    go_on(before, after)
    weights, expected = after.model.state_dict(), before.model.state_dict()
    momenta, trained = after.momenta(), before.momenta()
    kept = {cuts[1].index(cut): index for index, cut in enumerate(cuts[0]) if cut in cuts[1]}
    old_names = {}
    for name in {*weights, *momenta}:
        old = name
        if of_cut(name):
            index = int(name.split('.')[2])
            old = name.replace(f'.{index}.', f'.{kept[index]}.', 1) if index in kept else None
        old_names[name] = old
    for name, value in weights.items():
        old = old_names[name]
        assert torch.equal(value, fresh[name] if old is None else expected[old]), name
    with_state = {name for name, _ in after.model.named_parameters() if old_names.get(name, name) is not None}
    with_state = {name for name in with_state if not of_cut(name) or int(name.split('.')[2]) in kept}
    assert momenta.keys() == with_state
    for name, state in momenta.items():
        for key, value in state.items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(trained[old_names[name]][key])), name
    local_train_step(after.model, make_batch(seed=7), after.optim_wrapper)


@pytest.mark.parametrize(('wrapper', 'kept'), [(WHOLE, True), (BY_PARAMETER, False)])
def test_schedules_of_other_groups_are_left_to_be_replayed(wrapper, kept):
    before, after = Run(TWO, wrapper, 1), Run(THREE, wrapper)
    before.optim_wrapper.param_groups[0]['lr'] = 0.003
    checkpoint = go_on(before, after)
    assert ('param_schedulers' in checkpoint) is kept
    assert after.optim_wrapper.param_groups[0]['lr'] == (0.003 if kept else 0.01)


def test_momentum_blocks_stay_with_their_cuts():
    before, after = (Run(cuts, WHOLE, 1, momentum_block=0.9) for cuts in (THREE, TWO))
    go_on(before, after)
    expected = before.model.backbone.momentum_blocks[1].state_dict()
    actual = after.model.backbone.momentum_blocks[0].state_dict()
    assert all(torch.equal(actual[key], value) for key, value in expected.items())


def test_averages_and_waiting_gradients_follow_their_parameters():
    before, after = Run(THREE, WHOLE, 1), Run(TWO, WHOLE, seed=1)
    averaged = ExponentialMovingAverage(before.model, 0.5)
    averaged.update_parameters(before.model)
    head = 'backbone.local_heads.{}.auxiliary_head.conv_seg.bias'
    shared = 'decode_head.conv_seg.bias'
    gradients = {
        name: torch.ones(5) * value for value, name in enumerate([*map(head.format, (0, 1)), shared])
    }
    checkpoint = go_on(before, after, ema_state_dict=deepcopy(averaged.state_dict()), gradients=gradients)
    assert checkpoint['gradients'].keys() == {head.format(0), shared}
    assert torch.equal(checkpoint['gradients'][head.format(0)], gradients[head.format(1)])
    fits = ExponentialMovingAverage(after.model, 0.5)
    fits.load_state_dict(checkpoint['ema_state_dict'])
    own = averaged.state_dict()
    assert torch.equal(fits.state_dict()[f'module.{head.format(0)}'], own[f'module.{head.format(1)}'])
    assert fits.steps == averaged.steps


def test_the_log_says_what_goes_on_and_what_starts_afresh():
    before, after = Run(THREE, WHOLE, 1), Run(OTHERS, WHOLE)
    go_on(before, after)
    assert after.warnings == [
        'the run goes on with 3 local modules instead of 3: encoder, neck and heads keep their weights and '
        'their optimizer state; the local heads of layer1.0, layer3.1 start afresh, without optimizer state; '
        'those of layer1.1, layer2.0 are dropped'
    ]


@pytest.mark.parametrize('case', ['same cuts', 'no resume', 'no fit'])
def test_other_checkpoints_are_left_alone(case):
    before = Run(TWO, WHOLE, 1)
    after = Run(TWO if case == 'same cuts' else THREE, WHOLE)
    runner = after.runner(resume=case != 'no resume')
    if case == 'no fit':
        runner.cfg.pop('fit')
    checkpoint = before.checkpoint()
    same = dict(checkpoint)
    RecipeChangeHook().after_load_checkpoint(runner, checkpoint)
    assert all(checkpoint[key] is value for key, value in same.items())
    assert not after.warnings
