"""Faults that would end a training, or take effect, long after its start."""

import logging
from types import SimpleNamespace

import pytest

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.loading import LoadImage
from infopro_seg.errors import CheckpointError, ConfigError, OutputError
from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.evaluation.metric_names import metric_names
from infopro_seg.models import InfoProEncoderDecoder
from infopro_seg.models.pretrained import pretrained_of
from infopro_seg.trained_network import read_checkpoint
from infopro_seg.training.checks.config_check import require_keys
from infopro_seg.training.checks.late_faults import _require_train_loop
from infopro_seg.training.launch import train
from tests.runs import DEMO, demo


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (
            {'optim_wrapper.optimizer.lr': '1e-3'},
            "lr='1e-3' in optim_wrapper.optimizer of the config is a",
        ),
        ({'optim_wrapper.optimizer.momentum': '.9'}, "momentum='.9' in optim_wrapper.optimizer"),
        ({'param_scheduler': [{'type': 'PolyLR', 'power': '0.9'}]}, r"power='0.9' in param_scheduler\[0\]"),
        (
            {'optim_wrapper.paramwise_cfg': {'custom_keys': {'norm': {'decay_mult': '0.'}}}},
            "decay_mult='0.' in optim_wrapper.paramwise_cfg.custom_keys.norm",
        ),
        ({'env_cfg': None}, 'env_cfg=None of the config; leave it out'),
        ({'randomness': None}, 'randomness=None of the config; leave it out'),
        ({'train_dataloader.batch_size': None}, 'batch_size=None in train_dataloader; write a whole number'),
        ({'val_dataloader.batch_size': '2'}, "batch_size='2' in val_dataloader; write a whole number"),
        ({'train_dataloader.prefetch_factor': 0}, 'prefetch_factor=0 in train_dataloader; write a whole'),
    ],
)
def test_values_that_mmengine_fails_on_later_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        require_keys(demo(**changes))


def test_a_loader_may_leave_these_out():
    require_keys(demo(**{'train_dataloader.prefetch_factor': None}))
    require_keys(
        demo(**{'train_dataloader.batch_size': None, 'train_dataloader.batch_sampler': {'type': 'A'}})
    )


def test_checkpoints_can_be_written_where_the_config_puts_them(tmp_path):
    (tmp_path / 'file').touch()
    options = {'default_hooks.checkpoint.out_dir': str(tmp_path / 'file')}
    with pytest.raises(
        OutputError, match=r'cannot write to out_dir of default_hooks\.checkpoint, in .*file/wor'
    ):
        train(DEMO, str(tmp_path / 'work'), options=options)


def test_a_training_that_never_validates_is_warned_of():
    said = []
    logger = SimpleNamespace(warning=said.append, level=logging.INFO)
    loop = SimpleNamespace(max_iters=4, _max_iters=4, val_begin=5, val_interval=1, dataloader=None)
    runner = SimpleNamespace(logger=logger, param_schedulers=[], _val_loop=loop)
    _require_train_loop(loop, runner)
    assert len(said) == 1
    assert 'val_begin=5 of train_cfg lies after the last iteration, 4: nothing is validated' in said[0]
    loop.val_begin = 4
    _require_train_loop(loop, runner)
    assert len(said) == 1


def pretrained(init_cfg):
    """A segmentor with `pretrained`, as old configs have it, up to what its encoder is initialised with."""
    model = demo().model.to_dict()
    model.pop('type')
    model['backbone']['encoder'].update(init_cfg)
    return pretrained_of(InfoProEncoderDecoder(**model, pretrained='a.pth').backbone.encoder)


def test_pretrained_of_the_model_initialises_the_encoder():
    assert pretrained({'init_cfg': {'type': 'Pretrained', 'checkpoint': 'a.pth'}}) == 'a.pth'
    assert pretrained({'init_cfg': None}) is None  # from scratch


def test_two_sources_of_the_encoders_weights_are_refused():
    """The second would win without a word."""
    with pytest.raises(
        ConfigError, match=r"pretrained='a\.pth' and init_cfg=.*b\.pth.* both name its weights"
    ):
        pretrained({'init_cfg': {'type': 'Pretrained', 'checkpoint': 'b.pth'}})


def test_a_folder_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match=r'is a folder, not a checkpoint; .* holds none'):
        read_checkpoint(tmp_path)


def iou(**options):
    return ClassIoUMetric(iou_metrics=['mIoU'], **options)


def names(*metrics):
    return metric_names(SimpleNamespace(metrics=metrics))


def test_two_metrics_may_not_report_the_same():
    with pytest.raises(ConfigError, match='two metrics of val_evaluator report aAcc; give one a prefix'):
        names(iou(), iou())
    assert names(iou(), iou(prefix='b')) == {'aAcc', 'mIoU', 'mAcc', 'b/aAcc', 'b/mIoU', 'b/mAcc'}


def test_a_metric_that_only_writes_files_reports_nothing(tmp_path):
    assert names(iou(format_only=True, output_dir=str(tmp_path))) == set()


@pytest.mark.parametrize('kind', ['gray', None])
def test_an_unknown_color_type_is_named(kind):
    with pytest.raises(ConfigError, match=r'LoadImage has color_type=.*; choose from color, grayscale, '):
        LoadImage(color_type=kind)


@pytest.mark.parametrize(('backend', 'package'), [('turbojpeg', 'PyTurboJPEG'), ('tifffile', 'tifffile')])
def test_a_package_that_an_image_backend_needs_is_named(monkeypatch, backend, package):
    """The images were blamed: replace or remove them."""
    monkeypatch.setattr('infopro_seg.datasets.loading.find_spec', lambda name: None)
    with pytest.raises(
        ConfigError, match=f"imdecode_backend='{backend}', .* pip install {package}; or leave"
    ):
        LoadImage(imdecode_backend=backend)
    monkeypatch.setattr('infopro_seg.datasets.loading.find_spec', lambda name: name)
    LoadImage(imdecode_backend=backend)
