import pytest
import torch

from infopro_seg.errors import CheckpointError
from infopro_seg.evaluation.launch import evaluate
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, require_fit
from infopro_seg.training.launch import train
from tests.runs import DEMO, load, tiny_options
from tests.stand_ins import CUTS, assert_same, build, make_batch, model_config

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


def start_from(streets, checkpoint, folder):
    """No learning: the weights after an iteration are those that were loaded."""
    options = {'load_from': str(checkpoint), 'train_cfg.max_iters': 1, 'optim_wrapper.optimizer.lr': 0.0}
    runner = train(DEMO, work_dir=str(folder), options=tiny_options(streets, **options))
    return runner.model.state_dict()


def test_a_run_may_start_from_a_part_of_another_model(streets, checkpoint, tmp_path):
    other = spoil(checkpoint, tmp_path / 'other.pth', lambda state: (drop(state), add(state)))
    loaded, given = start_from(streets, other, tmp_path), load(other)['state_dict']
    common = [key for key in given if key in loaded and 'running' not in key and 'tracked' not in key]
    assert len(common) > 80
    assert_same({key: loaded[key] for key in common}, {key: given[key] for key in common})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (reshape, 'other shapes'),
        (lambda state: (state.clear(), add(state)), 'it shares no weight with the model'),
    ],
)
def test_a_start_that_would_load_wrongly_or_nothing_is_refused(
    streets, checkpoint, tmp_path, change, message
):
    other = spoil(checkpoint, tmp_path / 'other.pth', change)
    with pytest.raises(CheckpointError, match=message):
        start_from(streets, other, tmp_path)


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
    model = build(model_config(CUTS), double=False).eval()
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
