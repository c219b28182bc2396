"""Where the test after a training finds no memory, another recipe would not help."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.training.launch import train
from infopro_seg.training.memory_budget import within_memory
from infopro_seg.training.memory_budget.fitting import FitRequest
from tests.runs import DEMO, tiny_options
from tests.training.test_fitting import plans  # noqa: F401  a fixture
from tests.training.test_out_of_memory import FULL


@HOOKS.register_module()
class RunOutInTest(Hook):
    """Raises in the test as torch does where memory is short."""

    def before_test_iter(self, runner, batch_idx, data_batch=None):
        raise FULL['gpu']()


@pytest.mark.usefixtures('plans')
def test_it_is_no_matter_of_recipes(streets, tmp_path, monkeypatch):
    built = []
    build = within_memory.build_runner
    monkeypatch.setattr(within_memory, 'build_runner', lambda cfg: built.append(cfg) or build(cfg))
    hooks = [{'type': 'ResultsHook', 'split': 'test'}, {'type': 'RunOutInTest'}]
    options = {**tiny_options(streets, **{'train_cfg.max_iters': 2}), 'custom_hooks': hooks}
    with pytest.raises(torch.OutOfMemoryError) as caught:
        train(DEMO, work_dir=str(tmp_path), options=options, fit=FitRequest('9GiB'), command=['train.py'])
    assert len(built) == 1
    assert caught.value.__notes__[0] == 'It ran out in the test at iteration 2.'
