"""What `--fit` may ask for."""

import pytest
import torch

from infopro_seg.commands.train import main
from infopro_seg.errors import ConfigError, MachineError, UserError
from infopro_seg.training.launch import train
from infopro_seg.training.memory_budget.fitting import FitRequest
from tests.runs import DEMO

GIB = 2**30


def test_auto_is_the_free_memory_less_a_tenth(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(MachineError, match=r'give a budget, e\.g\. --fit 11GiB'):
        FitRequest('auto').in_bytes()
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda: (20 * GIB, 24 * GIB))
    assert FitRequest('auto').in_bytes() == 18 * GIB


def test_stages_are_not_fitted(tmp_path):
    with pytest.raises(ConfigError, match='--fit chooses how to train all local modules at once'):
        train(
            DEMO,
            work_dir=str(tmp_path),
            fit=FitRequest('3GiB'),
            options={'stages': [{}, {}, {}], 'train_cfg.max_iters': 1},
        )


def test_the_share_of_exact_recipes_needs_a_budget(monkeypatch):
    monkeypatch.setattr('sys.argv', ['train.py', str(DEMO), '--fit-exact-flops', '1.1'])
    with pytest.raises(UserError, match=r'add e\.g\. --fit 11GiB'):
        main()
