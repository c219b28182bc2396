import pytest
from mmengine.optim import build_optim_wrapper

import infopro_seg.register  # noqa: F401
from infopro_seg.errors import ConfigError
from tests.models.encoder_list import vit
from tests.stand_ins import build, head_config, model_config, stock_config


def settings(constructor, decay_type):
    decay = {'decay_rate': 0.5, 'decay_type': decay_type, 'num_layers': 4}
    optimizer = {'type': 'AdamW', 'lr': 1e-3, 'weight_decay': 0.05}
    return {
        'type': 'OptimWrapper',
        'constructor': constructor,
        'optimizer': optimizer,
        'paramwise_cfg': decay,
    }


def rates(model, constructor, decay_type='layer_wise'):
    """Learning rate and weight decay of each parameter, by its stock name."""
    wrapper = build_optim_wrapper(model, settings(constructor, decay_type))
    names = {id(p): name.replace('backbone.encoder.', 'backbone.') for name, p in model.named_parameters()}
    groups = wrapper.optimizer.param_groups
    return {names[id(p)]: (group['lr'], group['weight_decay']) for group in groups for p in group['params']}


def test_the_rates_are_those_of_the_stock_network_and_local_heads_learn_like_the_decode_head():
    encoder = vit('BEiT')
    heads = {'decode_head': head_config(in_index=1), 'auxiliary_head': None}
    config = model_config(('layers.1',), encoder=encoder, **heads)
    model, stock = build(config), build(stock_config(config, (12, 12)))
    ours = rates(model, 'LocalLearningRateDecayConstructor')
    local = {name: ours.pop(name) for name in list(ours) if 'local_heads' in name}
    expected = rates(stock, 'LearningRateDecayOptimizerConstructor')
    assert ours == expected
    assert len({lr for lr, _ in expected.values()}) == 6  # four layers, what is before them, the head
    assert {lr for lr, _ in local.values()} == {1e-3}


def test_stages_of_a_convnext_have_the_rates_of_the_stock_network():
    """mmseg knows it by the name of its class and of its parameters, so a stand-in will do."""
    config = model_config(decode_head=head_config(in_index=3))
    stock, model = build(stock_config(config)), build(config)
    for encoder in (stock.backbone, model.backbone.encoder):
        encoder.__class__ = type('ConvNeXt', (type(encoder),), {})
        encoder.stages = encoder.layer1
    ours = rates(model, 'LocalLearningRateDecayConstructor', 'stage_wise')
    expected = rates(stock, 'LearningRateDecayOptimizerConstructor', 'stage_wise')
    assert {name: value for name, value in ours.items() if 'local_heads' not in name} == expected


def test_an_encoder_without_such_rates_is_named():
    model = build(model_config())
    with pytest.raises(ConfigError, match=r"decay_type='stage_wise'.* ResNetV1c; mmseg has layer_wise for"):
        rates(model, 'LocalLearningRateDecayConstructor', 'stage_wise')
