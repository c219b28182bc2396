"""A data set in one file, and configs of short trainings on it."""

import cv2
import numpy as np

from infopro_seg.files import write_text
from tests.classification.tiny import CLASSES, SIZE, model_config
from tests.runs import ROOT

NAMES = ('left', 'middle', 'right')


def picture(index, size=SIZE):
    """An image (H, W, 3), BGR."""
    random = np.random.default_rng(index)
    return random.integers(0, 256, (size, size, 3), dtype=np.uint8)


def write_npz(path, train=9, test=6, **changes):
    """Writes a file of PNGs, the labels 0, 1, 2, 0, 1, 2, ..."""
    arrays = {'classes': np.array(NAMES)}
    for split, count, first in (('train', train, 0), ('test', test, 100)):
        files = [cv2.imencode('.png', picture(first + index))[1].ravel() for index in range(count)]
        arrays[f'{split}_bytes'] = np.concatenate(files)
        arrays[f'{split}_offsets'] = np.cumsum([0, *(len(file) for file in files)])
        arrays[f'{split}_labels'] = (np.arange(count) % CLASSES).astype(np.uint8)
    arrays |= changes
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def write_config(path, data, iterations=4, modules=2):
    """The config of a training of a few iterations on a file of :func:`write_npz`."""
    loader = (
        "dict(batch_size=6, num_workers=0, sampler=dict(type='{sampler}', shuffle={shuffle}), "
        "dataset=dict(type='EncodedImages', data_file={data!r}, split='{split}', "
        "pipeline=[dict(type='mmpretrain.PackInputs')]))"
    )
    train = loader.format(sampler='InfiniteSampler', shuffle=True, data=str(data), split='train')
    test = loader.format(sampler='DefaultSampler', shuffle=False, data=str(data), split='test')
    write_text(
        path,
        f'_base_ = {str(ROOT / "configs/_base_/classification/runtime.py")!r}\n'
        f'crop_size = ({SIZE}, {SIZE})\n'
        f'model = {model_config(modules).to_dict()!r}\n'
        f'train_dataloader = {train}\nval_dataloader = {test}\ntest_dataloader = val_dataloader\n'
        "val_evaluator = dict(type='mmpretrain.Accuracy', topk=(1, 2))\ntest_evaluator = val_evaluator\n"
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))\n"
        f"train_cfg = dict(type='ResumableIterBasedTrainLoop', max_iters={iterations}, "
        f'val_interval={iterations})\n'
        "val_cfg = dict(type='ValLoop')\ntest_cfg = dict(type='TestLoop')\nrandomness = dict(seed=0)\n"
        f'default_hooks = dict(checkpoint=dict(interval={iterations}))\n'
        "custom_hooks = [dict(type='ReconstructionHook', interval=2), dict(type='ResultsHook')]\n"
        "visualizer = dict(vis_backends=[dict(type='LocalVisBackend')])\n",
    )
    return path
