"""What EMAHook and DDP keep beside the step, against what they really keep."""

import pytest
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.model import ExponentialMovingAverage
from mmseg.registry import MODELS
from torch import distributed as dist

from infopro_seg.errors import UserError
from infopro_seg.memory.quantities import parse_bytes
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.models.ddp import LocalDistributedDataParallel
from infopro_seg.training.memory_budget import fitting, memory_beside
from infopro_seg.training.memory_budget.fitting import FitRequest, fit_config
from infopro_seg.training.memory_budget.memory_message import _in_training
from tests.stand_ins import CUTS, model_config

SETUP = TrainingSetup(2, (32, 64))


def config(**more):
    model = model_config()
    model['backbone']['cuts'] = CUTS
    return Config({'model': model, **more})


@pytest.mark.parametrize('kind', ['EMAHook', EMAHook])
def test_averages_take_what_their_copy_of_the_model_takes(kind):
    cfg = config(custom_hooks=[{'type': kind}, {'type': 'NaiveVisualizationHook'}, {'type': 'no such hook'}])
    averages = ExponentialMovingAverage(MODELS.build(cfg.model)).module
    copies = [*averages.parameters(), *averages.buffers()]
    real = sum(512 * -(-tensor.nbytes // 512) for tensor in copies)  # as CUDA allocates it
    assert memory_beside.memory_beside(cfg, SETUP) == {'EMAHook': real}
    assert memory_beside.memory_beside(config(), SETUP) == {}


def test_ddp_takes_what_its_buckets_take(tmp_path, monkeypatch):
    cfg = config()
    store = dist.FileStore(str(tmp_path / 'store'), 1)
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        wrapped = LocalDistributedDataParallel(MODELS.build(cfg.model))
        sizes = wrapped._get_ddp_logging_data()['bucket_sizes']
    finally:
        dist.destroy_process_group()
    monkeypatch.setattr(memory_beside, 'get_world_size', lambda: 2)
    real = sum(int(size) for size in sizes.split(','))
    assert memory_beside.memory_beside(cfg, SETUP) == {'DDP': real}


def test_a_budget_is_planned_without_them(monkeypatch):
    cfg = config(
        train_dataloader={'batch_size': 2}, crop_size=(32, 64), custom_hooks=2 * [{'type': 'EMAHook'}]
    )
    asked = []

    def plan_to_fit(cfg, budget, **kwargs):
        asked.append(budget)
        raise UserError('enough')

    monkeypatch.setattr(fitting, 'plan_to_fit', plan_to_fit)
    taken = memory_beside.memory_beside(cfg, SETUP)['EMAHook']
    with pytest.raises(UserError, match='enough'):
        fit_config(cfg, FitRequest('1GiB'))
    assert asked == [2**30 - taken]
    with pytest.raises(UserError, match=r'less .* for EMAHook leaves nothing'):
        fit_config(cfg, FitRequest(f'{taken // 2**20}MiB'))


def test_the_budget_that_follows_a_lack_of_memory_has_room_for_them():
    options = {'train_dataloader': {'batch_size': 2}, 'crop_size': (32, 64)}
    averaged = config(custom_hooks=[{'type': 'EMAHook'}], **options)
    copy = memory_beside.memory_beside(averaged, SETUP)['EMAHook']
    peak = 100 * 2**20
    words = [_in_training(cfg, peak) for cfg in (config(**options), averaged)]
    plain, more = (parse_bytes(budget) for _, budget in words)
    assert plain == pytest.approx(0.9 * peak, abs=2**13)
    assert more == pytest.approx(0.9 * (peak + copy), abs=2**13)
