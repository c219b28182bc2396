import copy
from types import SimpleNamespace

import pytest
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, EMAHook, LoggerHook
from mmengine.optim import ReduceOnPlateauLR
from mmengine.runner import EpochBasedTrainLoop, LogProcessor
from torch.nn.utils import clip_grad_norm_

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.evaluation.metric_names import metric_names
from infopro_seg.hooks import ReconstructionHook, ResultsHook
from infopro_seg.training.checks.late_faults import require_sound
from tests.runs import train_tiny


@pytest.fixture(scope='module')
def trained_runner(streets, tmp_path_factory):
    folder = tmp_path_factory.mktemp('sound')
    return train_tiny(streets, folder, results=True, **{'train_cfg.max_iters': 1})


@pytest.fixture
def runner(trained_runner):
    """A runner with all parts built, of which a test may replace any."""
    runner = copy.copy(trained_runner)
    runner._hooks, runner._train_loop = [], copy.copy(trained_runner._train_loop)
    runner.optim_wrapper = copy.copy(trained_runner.optim_wrapper)
    runner.model = copy.copy(trained_runner.model)
    runner.cfg = copy.deepcopy(trained_runner.cfg)
    require_sound(runner)
    return runner


def checkpoints(**arguments):
    return CheckpointHook(by_epoch=False, **arguments)


def reported(**arguments):
    return metric_names(type('', (), {'metrics': [ClassIoUMetric(**arguments)]}))


@pytest.mark.parametrize(
    ('hook', 'expected'),
    [
        (checkpoints(save_best='mIou'), "save_best='mIou' of CheckpointHook, but the validation reports"),
        (checkpoints(save_best=['mIoU', 'mFscore'], rule='greater'), "save_best='mFscore'"),
        (checkpoints(max_keep_ckpt=3), 'does not accept max_keep_ckpt=3; did you mean max_keep_ckpts?'),
        (
            checkpoints(published_keys=['meta', 'stat_dict', 'of_mine']),
            "of the hook CheckpointHook: 'stat_dict'; did you mean state_dict?",
        ),
        (checkpoints(interval='10'), "interval='10' in hook CheckpointHook of the config is a str"),
        (checkpoints(interval=0.5), 'interval=0.5'),
        (checkpoints(filename_tmpl='last.pth', max_keep_ckpts=1), "filename_tmpl='last.pth'"),
        (checkpoints(filename_tmpl='{}_{}.pth'), "filename_tmpl='{}_{}.pth'"),
        (EarlyStoppingHook('mIoU ', rule='greater'), 'did you mean mIoU?'),
        (EarlyStoppingHook('mIoU', patience='5'), "patience='5'"),
        (EarlyStoppingHook('mIoU', min_delta='0.1', rule='greater'), "min_delta='0.1'"),
        (LoggerHook(interval_exp_name=5, interval=7), None),
        (ReconstructionHook(interval='x'), "interval='x' in hook ReconstructionHook"),
        (ResultsHook(rows=None), None),
        (ResultsHook(rows='4'), "rows='4'"),
        (checkpoints(save_best='auto'), None),
        (checkpoints(save_best='mIoU', interval=-1), None),
    ],
)
def test_what_a_hook_would_meet_later_is_met_now(runner, hook, expected):
    runner._hooks = [hook]
    if expected is None:
        require_sound(runner)
        return
    with pytest.raises(ConfigError) as caught:
        require_sound(runner)
    assert expected in str(caught.value)


def test_a_loss_weight_that_is_a_text_is_refused(runner, monkeypatch):
    monkeypatch.setattr(runner.model.decode_head.loss_decode, 'loss_weight', '1')
    with pytest.raises(ConfigError, match=r"loss_weight='1' of decode_head.loss_decode .* write a number"):
        require_sound(runner)


def test_an_average_at_no_interval_is_refused(runner):
    hook = EMAHook(interval=0)
    hook.before_run(runner)
    runner._hooks = [hook]
    with pytest.raises(ConfigError, match='interval=0 of the hook EMAHook'):
        require_sound(runner)


def test_there_is_one_average(runner):
    """Of two, the second would take the place of the weights in checkpoints."""
    runner._hooks = [EMAHook(), EMAHook()]
    for hook in runner._hooks:
        hook.before_run(runner)
    with pytest.raises(ConfigError, match='several EMAHooks'):
        require_sound(runner)
    del runner._hooks[0]
    require_sound(runner)


def test_two_checkpoint_hooks_do_not_share_a_best_score(runner):
    """A best_mIoU would have to be better than the other's mAcc."""
    runner._hooks = [checkpoints(save_best='mIoU'), checkpoints(save_best='mAcc', out_dir='best')]
    with pytest.raises(ConfigError, match=r"=\['mAcc'\]\), and they share one best score"):
        require_sound(runner)
    runner._hooks = [checkpoints(save_best=['mIoU', 'mAcc']), checkpoints(out_dir='more')]
    require_sound(runner)


def test_two_checkpoint_hooks_do_not_remove_each_other_s_files(runner):
    latest, kept = checkpoints(max_keep_ckpts=2), checkpoints(interval=100)
    runner._hooks = [latest, kept]
    with pytest.raises(ConfigError, match='max_keep_ckpts=2 would remove what the other saves'):
        require_sound(runner)
    kept.filename_tmpl = 'kept_{}.pth'
    require_sound(runner)
    kept.filename_tmpl, latest.max_keep_ckpts = latest.filename_tmpl, -1
    require_sound(runner)


@pytest.mark.parametrize(
    ('hooks', 'lost'),
    [
        ([], 'there is no CheckpointHook'),
        ([checkpoints(interval=4, save_last=False)], 'interval=4, save_last=False'),
        ([checkpoints(interval=1, save_begin=4, save_last=False)], 'interval=1, save_last=False'),
        ([checkpoints(interval=-1, save_last=False)], 'interval=-1, save_last=False'),
        ([CheckpointHook(interval=2, save_last=False)], 'interval=2, save_last=False'),
        ([checkpoints(interval=3, save_last=False)], None),
        ([checkpoints(interval=9)], None),
        ([checkpoints(interval=-1, save_last=False), checkpoints(interval=2, out_dir='more')], None),
    ],
)
def test_a_training_that_saves_nothing_is_warned_of(runner, monkeypatch, hooks, lost):
    said = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text, *_: said.append(text))
    runner._hooks, runner._train_loop._max_iters = hooks, 3
    require_sound(runner)
    found = [text for text in said if text.startswith('this training saves no checkpoint')]
    assert [f'({lost}), and its last weights are lost' in text for text in found] == [True] * bool(lost)


@pytest.mark.parametrize('value', [0, None, '3', -4])
@pytest.mark.parametrize('name', ['val_interval', '_max_iters'])
def test_a_loop_counts_in_whole_numbers_from_one_on(runner, name, value):
    setattr(runner._train_loop, name, value)
    with pytest.raises(ConfigError, match=f'{name.lstrip("_")}={value!r} in train_cfg'):
        require_sound(runner)


def test_an_epoch_without_end_is_refused(runner, trained_runner):
    loop = copy.copy(trained_runner._train_loop)
    loop.__class__ = EpochBasedTrainLoop
    runner._train_loop = loop
    loop.dataloader = type('', (), {'sampler': InfiniteSampler([1, 2])})
    with pytest.raises(ConfigError, match=r"would never .* sampler=dict\(type='DefaultSampler'"):
        require_sound(runner)


def test_arguments_of_clipping_are_those_of_torch(runner):
    runner.optim_wrapper.clip_func = clip_grad_norm_
    runner.optim_wrapper.clip_grad_kwargs = {'max_norm': 1, 'norm_type': 2}
    require_sound(runner)
    runner.optim_wrapper.clip_grad_kwargs = {'max_nrom': 1}
    with pytest.raises(
        ConfigError, match='clip_grad of optim_wrapper of the config does not accept max_nrom=1'
    ):
        require_sound(runner)


def test_a_schedule_waits_for_a_metric_that_is_reported(runner):
    schedule = ReduceOnPlateauLR(runner.optim_wrapper, monitor='loss', rule='less')
    runner.param_schedulers = [schedule]
    with pytest.raises(ConfigError, match="monitor='loss' of ReduceOnPlateauLR, but the validation reports"):
        require_sound(runner)


@pytest.mark.parametrize(
    ('test_cfg', 'expected'),
    [
        ({'mode': 'slid'}, "mode='slid' in model.test_cfg"),
        ({'mode': 'slide', 'crop_size': (8, 8)}, 'stride=None in model.test_cfg'),
        ({'mode': 'slide', 'crop_size': 8, 'stride': (4, 4)}, 'crop_size=8'),
    ],
)
def test_a_validation_that_cannot_run_is_refused(runner, test_cfg, expected):
    runner.model.test_cfg = test_cfg
    with pytest.raises(ConfigError) as caught:
        require_sound(runner)
    assert expected in str(caught.value)


def test_a_statistic_that_the_log_does_not_have_is_refused(runner):
    custom = [{'data_src': 'loss', 'method_name': 'maen', 'window_size': 5}]
    runner.log_processor = LogProcessor(custom_cfg=custom)
    with pytest.raises(ConfigError, match=r"method_name='maen' .*; did you mean mean\?"):
        require_sound(runner)


def test_the_names_of_metrics_are_those_that_mmseg_reports(trained_runner):
    """Against a real evaluation."""
    expected = set(trained_runner.val_loop.run())
    assert metric_names(trained_runner.val_loop.evaluator) == expected
    assert reported(iou_metrics=['mIoU', 'mFscore'], prefix='val') == {
        f'val/{name}' for name in ('aAcc', 'mIoU', 'mAcc', 'mFscore', 'mPrecision', 'mRecall')
    }
    with pytest.raises(ConfigError, match=r'there is no mIuo; did you mean mIoU\?'):
        reported(iou_metrics=['mIuo'])


def test_a_loop_of_the_users_own_may_have_no_data_loader(runner):
    runner._val_loop = SimpleNamespace(evaluator=runner._val_loop.evaluator)
    require_sound(runner)


def test_a_metric_of_the_users_own_is_not_judged(runner):
    class Own(ClassIoUMetric):
        def compute_metrics(self, results):
            return {'own': 1.0}

    assert metric_names(type('', (), {'metrics': [Own()]})) is None


def test_a_run_is_refused_before_it_begins(streets, tmp_path):
    with pytest.raises(ConfigError, match="save_best='mIou'"):
        train_tiny(streets, tmp_path, results=True, **{'default_hooks.checkpoint.save_best': 'mIou'})
    assert not list(tmp_path.glob('*.pth'))
    [log] = tmp_path.glob('*/vis_data')
    assert not (log / 'scalars.json').exists()  # no iteration is logged
