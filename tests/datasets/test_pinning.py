"""Batches go to the GPU from pinned memory, and say nothing where there is none."""

import importlib
import warnings
from pathlib import Path

import torch
from mmengine.config import Config
from torch.utils.data import DataLoader
from torch.utils.data._utils.pin_memory import pin_memory

import infopro_seg.register
from tests.stand_ins import build, make_batch, model_config


def test_images_and_labels_of_a_batch_are_pinned(monkeypatch):
    pinned = []

    def pin(tensor, *args):
        pinned.append(tensor.data_ptr())
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin)
    batch = make_batch()
    found = pin_memory(batch)
    tensors = [*batch['inputs'], *(sample.gt_sem_seg.data for sample in batch['data_samples'])]
    assert sorted(pinned) == sorted(tensor.data_ptr() for tensor in tensors)
    for before, after in zip(batch['data_samples'], found['data_samples'], strict=True):
        assert type(after) is type(before)
        assert after.metainfo == before.metainfo
        assert after.gt_sem_seg.data is not before.gt_sem_seg.data
        assert (after.gt_sem_seg.data == before.gt_sem_seg.data).all()


def test_batches_are_copied_without_blocking(monkeypatch):
    model = build(model_config())
    flags = []
    real = torch.Tensor.to

    def to(tensor, *args, **kwargs):
        flags.append(kwargs.get('non_blocking'))
        return real(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, 'to', to)
    model.data_preprocessor.cast_data(make_batch(count=1))
    assert flags == [True, True]  # an image and its labels


def test_shipped_configs_pin_memory_and_a_machine_without_gpu_says_nothing(monkeypatch):
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/infopro_demo.py')
    assert cfg.train_dataloader.pin_memory
    assert cfg.val_dataloader.pin_memory
    monkeypatch.setattr(torch.accelerator, 'is_available', lambda: False)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter('always')
        importlib.reload(infopro_seg.register)  # whose filters pytest has put aside
        assert [len(item) for item in DataLoader([torch.ones(2)], pin_memory=True)] == [1]
    assert [str(item.message) for item in seen] == []
