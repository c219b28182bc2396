"""The shipped networks against mmseg's own configs of them, which lie in its package."""

from copy import deepcopy
from pathlib import Path

import cv2
import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS, MODELS

import infopro_seg.register  # noqa: F401
from infopro_seg.config_edits import without_pretraining
from infopro_seg.datasets.building import leaves
from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import ConfigError
from tests.models.encoder_list import is_missing
from tests.runs import ROOT

STOCK = Path(mmseg.__file__).parent / '.mim' / 'configs'
ZOO = {  # our end-to-end twin, and the stock config of the same network
    'deeplabv3_r50_e2e_cityscapes': 'deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024',
    'deeplabv3plus_r101_e2e_cityscapes': 'deeplabv3plus/deeplabv3plus_r101-d8_4xb2-80k_cityscapes-512x1024',
    'deeplabv3_mobilenetv2_e2e_cityscapes': (
        'mobilenet_v2/mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024'
    ),
    'pspnet_resnest101_e2e_cityscapes': 'resnest/resnest_s101-d8_pspnet_4xb2-80k_cityscapes512x1024',
    'ocrnet_hr48_e2e_cityscapes': 'ocrnet/ocrnet_hr48_4xb2-80k_cityscapes-512x1024',
    'segformer_mit_b2_e2e_cityscapes': 'segformer/segformer_mit-b2_8xb1-160k_cityscapes-1024x1024',
    'upernet_swin_t_e2e_cityscapes': (
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512'
    ),
    'upernet_convnext_t_e2e_cityscapes': 'convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512',
    'deeplabv3_r50_e2e_ade20k': 'deeplabv3/deeplabv3_r50-d8_4xb4-80k_ade20k-512x512',
    'deeplabv3_r50_e2e_voc12aug': 'deeplabv3/deeplabv3_r50-d8_4xb4-40k_voc12aug-512x512',
    # mmseg has these with DeepLabV3+, trained in the same way
    'deeplabv3_r50_e2e_loveda': 'deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_loveda-512x512',
    'deeplabv3_r50_e2e_potsdam': 'deeplabv3plus/deeplabv3plus_r50-d8_4xb4-80k_potsdam-512x512',
}
OTHER_DATA = ('upernet_swin_t', 'upernet_convnext_t')  # mmseg has these networks on ADE20K


def read(name):
    return Config.fromfile(str(ROOT / 'configs' / f'{name}.py'))


def stock(name):
    config = Config.fromfile(str(STOCK / f'{ZOO[name]}.py'), import_custom_modules=False)
    model = config.model
    if model.get('pretrained'):
        model.backbone.init_cfg = {'type': 'Pretrained', 'checkpoint': model.pop('pretrained')}
    return config


@pytest.mark.parametrize('name', [n for n in ZOO if n.endswith('cityscapes')])
def test_the_network_is_mmseg_s_weight_by_weight(name):
    if 'convnext' in name and is_missing('mmpretrain'):
        pytest.skip('mmpretrain is not installed')
    shapes = []
    for config in (read(name), stock(name)):
        heads = config.model.decode_head
        for head in (
            *(heads if isinstance(heads, list) else [heads]),
            config.model.get('auxiliary_head'),
        ):
            if head is not None and name.startswith(OTHER_DATA):
                head.num_classes = 19
        model = build(without_pretraining(config.model))
        shapes.append([(key, tuple(value.shape)) for key, value in model.state_dict().items()])
    assert shapes[0] == shapes[1]


def build(model):
    """A network without values, where it can be built so."""
    try:
        with torch.device('meta'):
            return MODELS.build(deepcopy(model))
    except RuntimeError:  # transformers read their rates of drop path from tensors
        return MODELS.build(model)


@pytest.mark.parametrize('name', ZOO)
def test_the_training_is_mmseg_s(name):
    ours, theirs = read(name), stock(name)
    encoder, backbone = ours.model.backbone.encoder, theirs.model.backbone
    assert encoder.init_cfg == backbone.init_cfg
    for key in ('strides', 'dilations', 'contract_dilation', 'drop_path_rate', 'sr_ratios', 'window_size'):
        assert key not in encoder or tuple_of(encoder[key]) == tuple_of(backbone[key])
    optimizer = theirs.optim_wrapper.optimizer
    assert ours.optim_wrapper.optimizer == optimizer
    given, expected = (c.optim_wrapper.get('paramwise_cfg', {}) for c in (ours, theirs))
    keys = {**expected.get('custom_keys', {})}
    for unused in ('pos_block', 'absolute_pos_embed'):  # in no parameter of these networks
        keys.pop(unused, None)
    assert given.get('custom_keys', {}) == keys
    assert {**given, 'custom_keys': 0} == {**expected, 'custom_keys': 0}
    constructor = theirs.optim_wrapper.get('constructor', 'Default')
    assert ours.optim_wrapper.get('constructor', 'Default').removeprefix('Local') in (
        constructor,
        constructor.replace('OptimizerConstructor', 'Constructor'),
    )
    assert ours.train_cfg.max_iters == theirs.train_cfg.max_iters
    assert [step.type for step in ours.param_scheduler] == [step.type for step in theirs.param_scheduler]
    for step, other in zip(ours.param_scheduler, theirs.param_scheduler, strict=True):
        for key in ('eta_min', 'power', 'begin', 'end', 'start_factor'):
            assert step.get(key) == other.get(key), key
    if not name.startswith(OTHER_DATA):
        assert ours.model.test_cfg == theirs.model.test_cfg
        assert tuple(ours.model.data_preprocessor.size) == tuple(theirs.model.data_preprocessor.size)
        require_equal_data(ours, theirs)


def tuple_of(value):
    return tuple(value) if isinstance(value, (list, tuple)) else value


def require_equal_data(ours, theirs):
    for split in ('train', 'val', 'test'):
        loaders = [config[f'{split}_dataloader'].dataset for config in (ours, theirs)]
        for given, expected in zip(*(leaves(loader) for loader in loaders), strict=True):
            assert given.type == expected.type
            assert given.get('ann_file') == expected.get('ann_file')
            if given.type != 'CityscapesDataset':
                assert given.data_root == expected.data_root
                assert given.data_prefix == expected.data_prefix
            names = {'LoadImage': 'LoadImageFromFile', 'LoadLabels': 'LoadAnnotations'}
            steps = [{**step, 'type': names.get(step.type, step.type)} for step in given.pipeline]
            wanted = [step for step in expected.pipeline if step.type != 'Pad']  # the preprocessor pads
            for step in (*steps, *wanted):
                step.pop('num_classes', None), step.pop('reduce_zero_label', None)
            assert steps == wanted


@pytest.mark.parametrize('name', [*ZOO])
def test_the_twin_differs_in_cuts_and_local_heads_only(name):
    config = read(name.replace('e2e', 'infopro')).to_dict()
    assert config.pop('local_head')['type'] == 'InfoProHead'
    assert len(config['model']['backbone'].pop('cuts')) == 1
    classes = config['model']['backbone'].pop('local_head')['auxiliary_head']['num_classes']
    twin = read(name).to_dict()
    assert twin['model']['backbone'].pop('cuts') == ()
    assert config == twin
    heads = twin['model']['decode_head']
    assert (heads if isinstance(heads, dict) else heads[-1])['num_classes'] == classes


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').glob('*.py')), ids=lambda path: path.stem)
def test_heads_and_data_sets_of_every_config_have_the_same_classes(path):
    require_equal_classes(Config.fromfile(str(path)))


RAW = {  # how a data set stores its labels, the ids that its images here hold, and what training should see
    'ade20k': ('.jpg', [0, 1, 2, 150], [255, 0, 1, 149]),
    'voc12aug': ('.jpg', [0, 1, 20, 255], [0, 1, 20, 255]),
    'loveda': ('.png', [0, 1, 2, 7], [255, 0, 1, 6]),
    'potsdam': ('.png', [0, 1, 2, 6], [255, 0, 1, 5]),
}


@pytest.fixture
def data(request, tmp_path):
    """A config of a data set, and a folder with an image for each of its parts in its layout."""
    config = read(f'deeplabv3_r50_infopro_{request.param}')
    suffix, ids, _ = RAW[request.param]
    for split in ('train', 'val'):
        for index, dataset in enumerate(leaves(config[f'{split}_dataloader'].dataset)):
            dataset.data_root = str(tmp_path)
            name = f'{split}_{index}'
            if dataset.get('ann_file'):
                (tmp_path / dataset.ann_file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / dataset.ann_file).write_text(f'{name}\n')
            for key, ending in (('img_path', suffix), ('seg_map_path', '.png')):
                (tmp_path / dataset.data_prefix[key]).mkdir(parents=True, exist_ok=True)
                picture = np.zeros((64, 64) if key == 'seg_map_path' else (64, 64, 3), np.uint8)
                if key == 'seg_map_path':
                    picture[:] = np.repeat(ids, 16)[:, None]
                cv2.imwrite(str(tmp_path / dataset.data_prefix[key] / f'{name}{ending}'), picture)
    return config


@pytest.mark.parametrize(('data', 'name'), [(name, name) for name in RAW], ids=str, indirect=['data'])
def test_labels_reach_the_heads_as_classes(data, name):
    require_data(data, ('train', 'val'))
    for loader in (data.train_dataloader, data.val_dataloader):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == len(list(leaves(loader.dataset)))
        labels = dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist()
        assert set(labels) <= {*RAW[name][2], 255}
    assert set(labels) == set(RAW[name][2])  # the last is the whole image of the validation


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'model.decode_head.num_classes': 20}, ['model.decode_head.num_classes=20', '150 classes']),
        (
            {'model.backbone.local_head.auxiliary_head.num_classes': 19},
            ['model.backbone.local_head.auxiliary_head.num_classes=19', 'write num_classes=150'],
        ),
        (
            {'train_dataloader.dataset.pipeline.1.num_classes': 7},
            ['LoadLabels of train_dataloader.num_classes=7'],
        ),
        (
            {'train_dataloader.dataset.metainfo': {'classes': ('a', 'b'), 'palette': [[0] * 3, [1] * 3]}},
            ['different numbers', 'train (ADE20KDataset): 2', 'val (ADE20KDataset): 150'],
        ),
    ],
    ids=['decode head', 'local head', 'pipeline', 'data sets'],
)
def test_other_classes_than_the_data_set_s_are_refused_before_training(options, words):
    config = read('deeplabv3_r50_infopro_ade20k')
    config.merge_from_dict(options)
    with pytest.raises(ConfigError) as caught:
        require_equal_classes(config)
    for word in words:
        assert word in str(caught.value)


def test_a_data_set_without_known_classes_is_not_compared():
    config = read('deeplabv3_r50_infopro_ade20k')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        config[loader].dataset.type = 'BaseSegDataset'
    require_equal_classes(config)


def test_several_heads_are_compared_one_by_one():
    config = read('ocrnet_hr48_infopro_cityscapes')
    config.model.decode_head[1].num_classes = 7
    with pytest.raises(ConfigError, match=r'model\.decode_head\[1\]\.num_classes=7'):
        require_equal_classes(config)
