"""A run that is resumed with other images is told so."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger

from infopro_seg.hooks.training_images import TrainingImagesHook
from tests.runs import STOPPED, TRAIN, train_tiny


@pytest.mark.parametrize(('later', 'told'), [(TRAIN, 0), (TRAIN - 1, 1)])
def test_a_resumed_training_compares_the_numbers_of_images(streets, tmp_path, monkeypatch, later, told):
    train_tiny(streets, tmp_path, **{'train_cfg.max_iters': STOPPED, 'param_scheduler': []})
    found = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *_, **__: found.append(text))
    changes = {'train_dataloader.dataset.indices': later, 'param_scheduler': []}
    train_tiny(streets, tmp_path, resume=True, **changes)
    words = f'the train split has {later} images, and had {TRAIN} in the run that is resumed'
    assert sum(words in text for text in found) == told
    saved = torch.load(tmp_path / 'iter_6.pth', weights_only=False)['meta']['training_images']
    assert saved == later


@pytest.mark.parametrize(
    ('meta', 'resume', 'dataset'),
    [({}, True, [0]), ({'training_images': 2}, False, [0]), ({'training_images': 2}, True, iter([0]))],
    ids=['older checkpoint', 'only loaded', 'no length'],
)
def test_what_is_not_known_is_not_compared(meta, resume, dataset):
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=dataset))
    runner = SimpleNamespace(_resume=resume, _train_loop=loop)  # without a logger
    TrainingImagesHook().after_load_checkpoint(runner, {'meta': meta})
    TrainingImagesHook().after_load_checkpoint(
        SimpleNamespace(_resume=True, _train_loop=None), {'meta': meta}
    )
