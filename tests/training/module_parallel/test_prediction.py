"""Processes with a local module each predict what one process does, and none keeps another waiting."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.evaluation.tta import TTAModel
from infopro_seg.training.module_parallel.evaluation import LastEvaluator, SharedBatches, world_of
from infopro_seg.training.module_parallel.stream import CutShortError
from infopro_seg.training.module_parallel.wrapper import ModuleParallel
from tests.forks import START
from tests.stand_ins import (
    CLASSES,
    CUTS,
    SIZE,
    assert_same,
    build,
    deeplabv3plus_config,
    head_config,
    make_batch,
    model_config,
    settle,
    upernet_config,
)

SLIDE = {'mode': 'slide', 'crop_size': (24, 32), 'stride': (12, 16), 'return_logits': True}
WHOLE = {'mode': 'whole', 'return_logits': True}
CASES = {
    'whole': model_config(decode_head=deeplabv3plus_config(), test_cfg=WHOLE),
    'slide': model_config(decode_head=upernet_config(), test_cfg={**SLIDE, 'window_batch': 2}),
    'slide, one channel': model_config(
        decode_head=head_config(
            in_index=3,
            num_classes=2,
            out_channels=1,
            threshold=0.12,
            loss_decode={'type': 'CrossEntropyLoss', 'use_sigmoid': True},
        ),
        auxiliary_head=None,
        test_cfg=SLIDE,
    ),
}
SMALL = 'two modules'  # by two replicas: its images are divided
IMAGES = 5


class Images(torch.utils.data.Dataset):
    """A few images, which note in which process they are loaded."""

    metainfo = {'classes': [str(index) for index in range(CLASSES)]}

    def __init__(self):
        self.loaded = []

    def __len__(self):
        return IMAGES

    def __getitem__(self, index):
        self.loaded.append(index)
        batch = make_batch(seed=index, count=1)
        return {'inputs': batch['inputs'][0], 'data_samples': batch['data_samples'][0]}


def network(config):
    return settle(build(config, double=False)).eval()


def flips():
    """A batch and its mirror images, as a pipeline of test-time augmentation gives them."""
    variants = [make_batch(seed=4) for _ in range(3)]
    for batch, direction in zip(variants[1:], ('horizontal', 'vertical'), strict=True):
        axis = {'horizontal': 2, 'vertical': 1}[direction]
        batch['inputs'] = [image.flip(axis) for image in batch['inputs']]
        for sample in batch['data_samples']:
            sample.set_metainfo({'flip': True, 'flip_direction': direction})
    return {key: [batch[key] for batch in variants] for key in variants[0]}


@torch.no_grad()
def predicted(wrapper, model):
    """What a network makes of some images: by itself, or as the part of a `ModuleParallel`."""
    steps = {
        'plain': lambda: wrapper.val_step(make_batch(seed=3)),
        'flips': lambda: TTAModel(module=wrapper).test_step(flips()),
    }
    found = {}
    for name, step in steps.items():
        if wrapper is not model:
            wrapper.stream.open()
        found[name] = [
            {key: sample.get(key).data for key in ('pred_sem_seg', 'seg_logits') if key in sample}
            for sample in step()
        ]
        if wrapper is not model:
            wrapper.stream.close()
    return found


def loader_of(dataset):
    sampler = {'type': 'DefaultSampler', 'shuffle': False}
    config = {'batch_size': 1, 'num_workers': 0, 'sampler': sampler, 'dataset': dataset}
    return Runner.build_dataloader({**config, 'collate_fn': {'type': 'pseudo_collate'}}, seed=0)


@torch.no_grad()
def evaluated(step, loader, evaluator):
    """The metrics of some images, as mmengine's loop finds them."""
    for batch in loader:
        evaluator.process(data_samples=step(batch), data_batch=batch)
    return evaluator.evaluate(IMAGES)


def evaluator_of():
    evaluator = Evaluator([ClassIoUMetric(iou_metrics=['mIoU'])])
    evaluator.dataset_meta = Images.metainfo
    return evaluator


def parallel(config):
    model = ModuleParallel(network(config))
    optimizer = build_optim_wrapper(model, {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.1}})
    model.settle(optimizer)
    return model.eval()


def on_rank(rank, folder):
    torch.set_num_threads(1)
    init_default_scope('mmseg')
    if rank < 3:
        dist.init_process_group('gloo', init_method=f'file://{folder}/three', rank=rank, world_size=3)
        for name, config in CASES.items():
            model = parallel(config)
            found = predicted(model, model.module)
            with torch.no_grad(), model.together():
                inputs = model.module.data_preprocessor(make_batch(seed=5), False)['inputs']
                found['reconstructions'] = model.module.backbone.reconstructions(inputs, SIZE)
            torch.save(found, f'{folder}/{name}_{rank}.pth')
        torch.save(failures(model), f'{folder}/failures_{rank}.pth')
        model.link.finish()
        dist.barrier()
        dist.destroy_process_group()
    dist.init_process_group('gloo', init_method=f'file://{folder}/four', rank=rank, world_size=4)
    model = parallel(model_config(CUTS[:1]))
    with world_of(model.data_group):
        loader = loader_of(Images())
    evaluator = LastEvaluator(evaluator_of(), model.placement.is_last, model.data_group, model.link)
    metrics = evaluated(
        model.val_step, SharedBatches(loader, model.stream, model.link, lambda: None), evaluator
    )
    result = {'metrics': metrics, 'loaded': loader.dataset.loaded, 'place': model.placement}
    torch.save(result, f'{folder}/{SMALL}_{rank}.pth')
    model.link.finish()
    dist.barrier()
    dist.destroy_process_group()


def failures(model):
    """How predictions together end in this process, where that of each module fails in turn."""
    ends = []
    for failing in range(3):
        try:
            with torch.no_grad(), model.together():
                for step in range(6):  # more than may wait to be received
                    if step == 1 and model.placement.module == failing:
                        raise ZeroDivisionError
                    model.module.test_step(make_batch(seed=step))
            ends.append('')
        except (ZeroDivisionError, CutShortError) as error:
            ends.append(type(error).__name__)
    return ends


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('prediction')
    mp.start_processes(on_rank, (str(folder),), nprocs=4, start_method=START)
    return folder


@pytest.fixture
def one_thread():
    init_default_scope('mmseg')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize('name', CASES)
def test_they_predict_what_one_process_does(folder, one_thread, name):
    model = network(CASES[name])
    last, *others = [torch.load(folder / f'{name}_{rank}.pth') for rank in range(3)]
    expected = predicted(model, model)
    assert_same({key: last[key] for key in expected}, expected)
    assert all(len(sample['pred_sem_seg'].unique()) > 1 for sample in expected['plain'])
    inputs = model.data_preprocessor(make_batch(seed=5), False)['inputs']
    assert_same(last['reconstructions'], model.backbone.reconstructions(inputs, SIZE))
    assert len(last['reconstructions']) == 2
    for other in others:  # these have no logits, and so do not pretend to labels
        assert other['plain'] == [{}, {}]


def test_replicas_divide_the_images_and_all_get_the_metrics(folder, one_thread):
    model = network(model_config(CUTS[:1]))
    expected = evaluated(model.val_step, loader_of(Images()), evaluator_of())
    ranks = [torch.load(folder / f'{SMALL}_{rank}.pth', weights_only=False) for rank in range(4)]
    for rank in ranks:
        assert rank['metrics'] == expected
        share = [[0, 2, 4], [1, 3, 0]][rank['place'].replica]
        assert rank['loaded'] == (share if rank['place'].is_first else [])
    assert expected['mIoU'] > 0


def test_whichever_fails_the_others_come_to_an_end(folder):
    ends = [torch.load(folder / f'failures_{rank}.pth') for rank in range(3)]
    fails, behind = 'ZeroDivisionError', 'CutShortError'
    assert ends[2] == [fails, '', '']  # the process of the first module
    assert ends[1] == [behind, fails, '']
    assert ends[0] == [behind, behind, fails]
