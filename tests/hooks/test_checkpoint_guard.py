import pytest
import torch

from infopro_seg.errors import CheckpointError
from infopro_seg.evaluate import evaluate
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, fit_start, require_fit
from infopro_seg.training.launch import train
from tests.runs import DEMO, load, tiny_options
from tests.stand_ins import (
    CLASSES,
    CUTS,
    assert_same,
    build,
    head_config,
    make_batch,
    model_config,
    stock_config,
)

HEAD = 'decode_head.conv_seg.weight'


def spoil(checkpoint, out, change):
    content = load(checkpoint)
    change(content['state_dict'])
    torch.save(content, out)
    return out


def drop(state):
    del state[HEAD]


def add(state):
    state['decode_head.of_another.weight'] = torch.zeros(1)


def reshape(state):
    state[HEAD] = torch.zeros(7, *state[HEAD].shape[1:])


DAMAGES = {
    'missing': (drop, f'1 weights are missing, e.g. {HEAD}'),
    'unexpected': (add, r'1 weights are not in the model, e.g. decode_head.of_another.weight'),
    'shape': (
        reshape,
        rf'1 weights have other shapes, e.g. {HEAD} \(7, 4, 1, 1\) in place of \(19, 4, 1, 1\)',
    ),
}


def resume(streets, checkpoint, folder):
    return train(DEMO, work_dir=str(folder), resume=str(checkpoint), options=tiny_options(streets))


def score(streets, checkpoint, folder):
    return evaluate(DEMO, checkpoint, work_dir=str(folder), options=tiny_options(streets, results=True))


USES = {'resume': resume, 'test': score}


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('purpose', USES)
def test_a_checkpoint_of_another_model_is_refused(streets, checkpoint, tmp_path, damage, purpose):
    change, message = DAMAGES[damage]
    broken = spoil(checkpoint, tmp_path / 'broken.pth', change)
    with pytest.raises(
        CheckpointError, match=rf'the checkpoint {broken} is of another model: .*{message}'
    ) as caught:
        USES[purpose](streets, broken, tmp_path)
    assert 'Use the config that it was trained with' in str(caught.value)
    assert not list(tmp_path.glob('iter_*.pth'))


def start_from(streets, checkpoint, folder, **guard):
    """No learning: the weights after an iteration are those that were loaded."""
    options = {'custom_hooks': [{'type': 'CheckpointGuardHook', **guard}]}
    options |= {'load_from': str(checkpoint), 'train_cfg.max_iters': 1, 'optim_wrapper.optimizer.lr': 0.0}
    runner = train(DEMO, work_dir=str(folder), options=tiny_options(streets, **options))
    return runner.model.state_dict()


def test_a_run_may_be_told_to_start_from_a_part_of_another_model(streets, checkpoint, tmp_path):
    other = spoil(checkpoint, tmp_path / 'other.pth', lambda state: (drop(state), add(state)))
    loaded = start_from(streets, other, tmp_path, allow_partial=True)
    given = load(other)['state_dict']
    common = [key for key in given if key in loaded and 'running' not in key and 'tracked' not in key]
    assert len(common) > 80
    assert_same({key: loaded[key] for key in common}, {key: given[key] for key in common})


def stock_weights(**change):
    """The weights of a stock network, and a model in local modules that starts from them."""
    config = model_config(CUTS)
    stock = build(stock_config(config)).state_dict()
    return stock, build(model_config(CUTS, **change), seed=1)


def test_a_stock_checkpoint_starts_encoder_and_heads():
    stock, model = stock_weights()
    checkpoint = {'state_dict': dict(stock)}
    assert fit_start(checkpoint, model.state_dict(), 'stock.pth') == []
    local = {key: value.clone() for key, value in model.state_dict().items() if 'local_heads' in key}
    model.load_state_dict(checkpoint['state_dict'], strict=False)
    assert_same({**model.state_dict()}, {**stock, **local})


def test_layers_for_other_classes_start_anew_and_nothing_else():
    heads = {
        'decode_head': {**head_config(in_index=3), 'num_classes': CLASSES + 4},
        'auxiliary_head': {**head_config(0.4, in_index=2), 'num_classes': CLASSES + 4},
    }
    stock, model = stock_weights(**heads)
    checkpoint = {'state_dict': dict(stock)}
    renewed = fit_start(checkpoint, model.state_dict(), 'stock.pth')
    heads = ('auxiliary_head', 'decode_head')
    assert renewed == [f'{head}.conv_seg.{kind}' for head in heads for kind in ('bias', 'weight')]
    assert checkpoint['state_dict'].keys() == stock.keys() - set(renewed)


def test_local_heads_of_other_cuts_start_anew():
    given = dict(build(model_config(('layer2.1', 'layer3.1', 'layer4.0'))).state_dict())
    model = build(model_config(('layer1.1', 'layer3.1')))
    renewed = fit_start({'state_dict': given}, model.state_dict(), 'other.pth')
    prefixes = {key.split('.')[2] for key in renewed}
    assert prefixes == {'0', '2'}  # 1 has the same width
    assert all(key.startswith('backbone.local_heads.') for key in renewed)
    model.load_state_dict(given, strict=False)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('backbone.layer1.0.conv1.weight'), '1 weights are missing, e.g. backbone'),
        (
            lambda state: state.pop('auxiliary_head.conv_seg.bias'),
            'missing, e.g. auxiliary_head.conv_seg.bias',
        ),
        (add, 'not in the model, e.g. decode_head.of_another.weight'),
        (
            lambda state: state.update({'decode_head.convs.0.conv.weight': torch.zeros(6, 9, 3, 3)}),
            'other shapes, e.g. decode_head.convs.0.conv.weight',
        ),
        (lambda state: (state.clear(), add(state)), 'weights are missing'),
    ],
    ids=['encoder', 'head', 'added', 'shape', 'another'],
)
def test_a_start_that_would_load_wrongly_is_refused(change, message):
    stock, model = stock_weights()
    state = dict(stock)
    change(state)
    with pytest.raises(CheckpointError, match=message) as caught:
        fit_start({'state_dict': state}, model.state_dict(), 'stock.pth')
    assert 'allow_partial=True' in str(caught.value)


def test_a_partial_start_that_would_load_nothing_is_refused():
    _, model = stock_weights()
    state = {}
    add(state)
    with pytest.raises(CheckpointError, match='it shares no weight with the model'):
        fit_start({'state_dict': state}, model.state_dict(), 'other.pth', allow_partial=True)


def test_a_checkpoint_without_local_heads_tests_alike(streets, lively, tmp_path):
    def strip(state):
        for key in [key for key in state if key.startswith('backbone.local_heads.')]:
            del state[key]

    stripped = spoil(lively, tmp_path / 'stripped.pth', strip)
    assert len(load(stripped)['state_dict']) < len(load(lively)['state_dict'])
    first, second = (score(streets, path, tmp_path) for path in (lively, stripped))
    assert first['IoU'] == second['IoU']
    with pytest.raises(CheckpointError, match=r'weights are missing, e.g. backbone.local_heads'):
        resume(streets, stripped, tmp_path)


def test_dropping_the_local_heads_changes_no_prediction():
    model = build(model_config(CUTS) | {'test_cfg': {'return_logits': True}}, double=False).eval()
    checkpoint = {'state_dict': model.state_dict()}
    before = model.test_step(make_batch())[0].seg_logits.data
    drop_local_heads(model, checkpoint)
    assert not any('local_heads' in key for key in [*model.state_dict(), *checkpoint['state_dict']])
    assert_same(model.test_step(make_batch())[0].seg_logits.data, before)


def test_counters_of_batches_may_be_missing():
    """Checkpoints from before they existed are complete."""
    require_fit(
        {'a.weight': torch.ones(1)}, {'a.weight': torch.ones(1), 'a.num_batches_tracked': torch.ones(())}, 'c'
    )
