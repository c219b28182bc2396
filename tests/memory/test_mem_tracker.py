"""The peak of a traced step against torch's `MemTracker`, which follows a real step on the CPU.

The two share no code. What they count differently is left out of the comparison:

- A trace rounds each storage up to the 512 bytes that CUDA's allocator hands out. `MemTracker` does so on a
  GPU only. Here neither rounds.
- `MemTracker` counts what it is told of and what operations return, so never the loader's images and labels.
  A trace leaves those out on purpose, as they are on the CPU.
- Where a tensor was used twice, autograd adds the second gradient into the first, but not while a dispatch
  mode looks on. There `MemTracker` sees a third tensor, where a trace counts what happens without one. No
  such sum is alive at these peaks.
- A boolean mask of labels selects some of them. A trace takes all, so here no label is to be ignored.
"""

from functools import partial

import pytest
from torch.distributed._tools.mem_tracker import MemTracker

from infopro_seg.memory import trace_step
from infopro_seg.memory.measuring.measure import Trial
from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from tests.memory.test_benchmark import CROP, config_with
from tests.stand_ins import CUTS

BATCH = 2


def real_peak(config):
    """The most bytes alive in a real step, as torch's tracker counts them; the optimizer has its state."""
    trial = Trial(config, TrainingSetup(BATCH, CROP))
    for sample in trial.data['data_samples']:
        sample.gt_sem_seg.data.clamp_(max=1)
    trial.step()
    optimizer = trial.optim_wrapper.optimizer
    for group in optimizer.param_groups:
        group['foreach'] = True  # what torch chooses on a GPU
    tracker = MemTracker()
    tracker.track_external(trial.model, optimizer)
    with tracker:
        trial.step()
    [by_kind] = tracker.get_tracker_snapshot('peak').values()  # of one device
    return by_kind['Total']


@pytest.mark.parametrize(
    ('cuts', 'checkpoint'),
    [((), 'none'), (CUTS, 'norms'), (CUTS[:1], 'blocks')],
)
def test_a_trace_finds_the_peak_that_torch_finds(monkeypatch, cuts, checkpoint):
    monkeypatch.setattr(
        'infopro_seg.memory.tracing.fake_model.StorageTracker', partial(StorageTracker, granularity=1)
    )
    heads = config_with().model.backbone.local_head if cuts else None
    config = config_with(cuts=cuts, checkpoint=checkpoint, local_head=heads)
    assert trace_step(config, BATCH, CROP).peak == real_peak(config)
