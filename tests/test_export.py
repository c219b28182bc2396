import os
import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

import infopro_seg.register  # noqa: F401
from infopro_seg.checkpoints import config_of
from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.evaluate import evaluate
from infopro_seg.export import export, to_stock_config
from infopro_seg.inference import Predictor
from tests.runs import SIZE, load
from tests.stand_ins import CLASSES, assert_same, build, deeplabv3plus_config, model_config, upernet_config

OURS = ('infopro', 'InfoPro', 'local_head', 'LoadLabels', "'LoadImage'", 'ClassIoU', 'Resumable', 'CPUAmp')

STOCK = """
import json, sys
sys.modules['infopro_seg'] = None  # importing it fails
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, METRICS, MODELS, TRANSFORMS
import mmseg.datasets, mmseg.evaluation, mmseg.models
from mmengine.registry import LOOPS, OPTIM_WRAPPERS

config_file, checkpoint, inputs, out = sys.argv[1:]
torch.set_num_threads(1)
config = Config.fromfile(config_file)
init_default_scope(config.default_scope)
model = MODELS.build(config.model)
content = torch.load(checkpoint, weights_only=True)
model.load_state_dict(content['state_dict'], strict=True)
model.eval()
with torch.no_grad():
    logits = model(torch.load(inputs))
    dataset = DATASETS.build(config.test_dataloader.dataset)
    metric = METRICS.build(config.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    for sample in dataset:
        data = pseudo_collate([sample])
        metric.process(data, [result.to_dict() for result in model.test_step(data)])
train_sample = DATASETS.build(config.train_dataloader.dataset)[0]['inputs']
torch.save({
    'logits': logits,
    'metrics': metric.evaluate(len(dataset)),
    'crop': list(train_sample.shape[1:]),
    'known': [bool(LOOPS.get(config.train_cfg.type)), bool(OPTIM_WRAPPERS.get(config.optim_wrapper.type))],
    'loaded': sorted(name for name in sys.modules if name.startswith('infopro_seg.')),
    'meta': content['meta']['dataset_meta'],
}, out)
"""


def shipped(checkpoint):
    """The config inside a checkpoint, without the transform that only these tests have."""
    config = config_of(load(checkpoint), checkpoint)
    config.custom_imports.imports = ['infopro_seg.register']
    pipeline = config.train_dataloader.dataset.pipeline
    config.train_dataloader.dataset.pipeline = [step for step in pipeline if step.type != 'NoteReads']
    config.pop('train_pipeline')
    return config


@pytest.fixture(scope='module')
def exported(lively, tmp_path_factory):
    """The checkpoint, its config, and what stock mmseg, in a process of its own, makes of both."""
    folder = tmp_path_factory.mktemp('export')
    plain = folder / 'deep' / 'plain.pth'
    config = export(lively, plain, shipped(lively))
    torch.save(torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0)), folder / 'inputs')
    command = [sys.executable, '-c', STOCK, config, plain, folder / 'inputs', folder / 'out']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        list(map(str, command)), text=True, capture_output=True, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return plain, config, torch.load(folder / 'inputs'), torch.load(folder / 'out', weights_only=False)


def test_stock_mmseg_loads_it_strictly_and_gives_the_same_logits(exported, lively):
    _, _, inputs, stock = exported
    model = Predictor(config_of(load(lively), lively), lively, 'cpu').model
    with torch.no_grad():
        assert_same(stock['logits'], model(inputs))
    assert stock['loaded'] == []
    assert stock['logits'].argmax(1).unique().numel() > 4


def test_stock_mmseg_evaluates_and_trains_with_the_written_config(exported, lively, tmp_path):
    content = load(lively)
    config = shipped(lively)
    config.experiment_name, config.visualizer.name = 'export', 'export'
    config.dump(tmp_path / 'own.py')
    ours = evaluate(tmp_path / 'own.py', lively, work_dir=str(tmp_path))
    stock = exported[-1]
    rounded = {name: round(float(value), 2) for name, value in stock['metrics'].items()}  # of float32
    assert rounded == ours['percent']
    assert stock['crop'] == [48, 96]
    assert stock['known'] == [True, True]
    assert stock['meta'] == content['meta']['dataset_meta']


def test_nothing_of_this_package_is_left(exported):
    plain, config, *_ = exported
    content = torch.load(plain, weights_only=True)
    assert content.keys() == {'meta', 'state_dict'}
    for text in (config.read_text(), content['meta']['cfg']):
        assert [word for word in OURS if word in text] == []
    assert not any('local_heads' in key or 'encoder' in key for key in content['state_dict'])


def test_everything_else_of_the_config_is_kept(exported, lively):
    before, after = shipped(lively), Config.fromfile(exported[1])
    assert after.model.backbone == before.model.backbone.encoder
    stock_loss = {**before.model.decode_head.loss_decode, 'type': 'CrossEntropyLoss'}
    assert after.model.decode_head == {
        **before.model.decode_head,
        'in_channels': 32,
        'loss_decode': stock_loss,
    }
    for key in (
        'param_scheduler',
        'test_cfg',
        'val_cfg',
        'default_scope',
        'work_dir',
        'tta_model',
        'visualizer',
    ):
        assert after[key] == before[key]
    assert after.optim_wrapper == before.optim_wrapper
    assert after.train_cfg == {**before.train_cfg, 'type': 'IterBasedTrainLoop'}


@pytest.mark.parametrize(
    'changes',
    [
        {'decode_head': deeplabv3plus_config()},
        {'decode_head': upernet_config(), 'auxiliary_head': None},
        {'auxiliary_head': [model_config()['auxiliary_head']] * 2},
    ],
    ids=['DeepLabV3+', 'UPerNet', 'two auxiliary heads'],
)
def test_any_heads_are_written_with_their_channels(changes):
    config = model_config(**deepcopy(changes))
    model = build(config, double=False).eval()
    stock = MODELS.build(to_stock_config(Config({'model': config}), model).model).eval()
    state = {key: value for key, value in model.state_dict().items() if 'local_heads' not in key}
    stock.load_state_dict(state, strict=True)
    inputs = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        assert_same(stock(inputs), model(inputs))


@pytest.mark.parametrize(
    ('given', 'kept'),
    [
        (['infopro_seg.register'], None),
        (['infopro_seg.register', 'my_encoder', 'infopro_seg'], ['my_encoder']),
        ('my_encoder', ['my_encoder']),
        (None, None),
    ],
)
def test_imports_of_one_s_own_are_kept(given, kept):
    config = model_config()
    imports = {'custom_imports': {'imports': given, 'allow_failed_imports': False}} if given else {}
    exported = to_stock_config(Config({'model': config, **imports}), build(config))
    assert exported.get('custom_imports', {}).get('imports') == kept


def test_what_cannot_be_exported_is_refused(checkpoint, tmp_path):
    content = load(checkpoint)

    def saved(name, thing):
        torch.save(thing, tmp_path / name)
        return tmp_path / name

    stock = export(checkpoint, tmp_path / 'stock.pth')
    assert stock == tmp_path / 'stock.py'
    no_config = saved('no_config.pth', {'state_dict': content['state_dict'], 'meta': {}})
    no_weights = saved('no_weights.pth', {'meta': content['meta']})
    other = saved('other.pth', {**content, 'state_dict': {'a': torch.zeros(1)}})
    cases = [
        (checkpoint, tmp_path / 'out.pt', UserError, r'--out .*/out.pt does not end in .pth'),
        (checkpoint, checkpoint, UserError, r'is the checkpoint itself'),
        (
            tmp_path / 'none.pth',
            'out.pth',
            CheckpointError,
            r'no checkpoint .*/none.pth; there are .*/no_config.pth',
        ),
        (no_config, 'out.pth', CheckpointError, r'no_config.pth holds no config \(meta.cfg\)'),
        (no_weights, 'out.pth', CheckpointError, r'no_weights.pth'),
        (
            saved('list.pth', [1]),
            'out.pth',
            CheckpointError,
            r'list.pth contains a list, not a checkpoint|cannot read',
        ),
        (
            tmp_path / 'stock.pth',
            'out.pth',
            CheckpointError,
            r'stock.pth holds a model of type EncoderDecoder, which mmseg loads as it is',
        ),
        (other, 'out.pth', CheckpointError, r'other.pth is of another model'),
    ]
    for given, out, kind, message in cases:
        with pytest.raises(kind, match=message):
            export(given, tmp_path / out)
    assert not (tmp_path / 'out.pth').exists()


def test_a_network_that_trained_with_channels_last_is_exported(tmp_path):
    """Stock mmseg has no such option, and other kernels for that layout."""
    model = model_config(channels_last=True)
    config = Config({'model': model, 'default_scope': 'mmseg'})
    content = {'state_dict': build(model, double=False).state_dict()}
    content['meta'] = {
        'cfg': config.pretty_text,
        'dataset_meta': {'classes': [str(n) for n in range(CLASSES)]},
    }
    torch.save(content, tmp_path / 'iter_1.pth')
    written = export(tmp_path / 'iter_1.pth', tmp_path / 'plain.pth')
    assert 'channels_last' not in written.read_text()
    stock = MODELS.build(Config.fromfile(written).model)
    exported = load(tmp_path / 'plain.pth')['state_dict']
    stock.load_state_dict(exported, strict=True)
    assert_same(dict(stock.state_dict()), {key: content['state_dict'][key] for key in exported})
