"""How probes read their data."""

from types import SimpleNamespace

import torch
from mmengine.config import Config

import infopro_seg.register  # noqa: F401  the samplers
from infopro_seg.probing import data


def test_without_workers_none_is_kept(monkeypatch):
    """Data sets of the shipped configs keep their workers, and the user may do without any."""
    monkeypatch.setattr(data, 'DATASETS', SimpleNamespace(build=lambda dataset: dataset['images']))
    images = [torch.full((2,), index) for index in range(4)]
    loader = {'num_workers': 0, 'persistent_workers': True, 'batch_size': 2, 'dataset': {'images': images}}
    config = Config({'train_dataloader': loader, 'val_dataloader': loader})
    assert [batch[0].tolist() for batch in data.val_loader(config)] == [[0, 0], [2, 2]]
    assert len(next(iter(data.train_loader(config, 3, 0)))) == 3
