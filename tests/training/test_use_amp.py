import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from infopro_seg.errors import ConfigError
from infopro_seg.training.optimizers.cpu_amp import CPUAmpOptimWrapper, use_amp

GPU = {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}
OPTIMIZER = {'type': 'SGD', 'lr': 0.1}


@pytest.mark.parametrize(
    'given',
    [{}, {'type': 'OptimWrapper'}, {'type': 'mmengine.OptimWrapper'}, {'type': OptimWrapper}],
)
@pytest.mark.parametrize('on_gpu', [False, True])
def test_the_wrapper_is_replaced_however_it_is_named(monkeypatch, given, on_gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: on_gpu)
    expected = GPU if on_gpu else {'type': 'CPUAmpOptimWrapper'}
    assert use_amp({**given, 'optimizer': OPTIMIZER}) == {**expected, 'optimizer': OPTIMIZER}


@pytest.mark.parametrize(
    'kind', ['AmpOptimWrapper', 'mmengine.AmpOptimWrapper', AmpOptimWrapper, CPUAmpOptimWrapper]
)
def test_a_wrapper_in_mixed_precision_is_kept(kind):
    given = {'type': kind, 'optimizer': OPTIMIZER}
    assert use_amp(given) is given


def test_the_wrapper_of_a_cpu_is_replaced_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert use_amp({'type': 'CPUAmpOptimWrapper'}) == GPU


class Own(OptimWrapper):
    pass


@pytest.mark.parametrize('kind', [Own, 'ApexOptimWrapper', 'Nonsense', 5])
def test_another_wrapper_is_refused_and_named(kind):
    with pytest.raises(ConfigError, match=r"--amp does not know .* write type='OptimWrapper' there"):
        use_amp({'type': kind})
