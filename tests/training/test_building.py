from pathlib import Path

import pytest
from mmengine.hooks import LoggerHook
from mmengine.registry import HOOKS, Registry
from torch.distributed import DistNetworkError
from torch.optim import SGD

from infopro_seg.errors import ConfigError, DataError, RankError
from infopro_seg.faults import own_place
from infopro_seg.spelling import nearest
from infopro_seg.training.building import building

PARTS = Registry('stand-in')


@PARTS.register_module()
class Own:
    def __init__(self, size, fault=None, **kwargs):
        self.size = size
        if fault == 'deep':
            self.nothing.at_all  # noqa: B018
        if fault == 'library':
            SGD([], lr=1)
        if kwargs:
            LoggerHook(**kwargs)


def build(config, registry=PARTS, **inner):
    with building('some_part', **inner):
        return registry.build(config)


@pytest.mark.parametrize(
    ('registry', 'config', 'expected'),
    [
        (
            PARTS,
            {'type': 'Own'},
            'some_part of the config (Own): TypeError: Own.__init__() missing 1 required',
        ),
        (PARTS, {'type': 'Owwn'}, 'there is no Owwn among the registered stand-ins; did you mean Own?'),
        (PARTS, {'size': 1}, 'must contain the key "type"'),
        (HOOKS, {'type': 'LoggerHook', 'intreval': 1}, 'did you mean interval?'),
        (HOOKS, {'type': 'LoggerHook', 'x': 1}, 'it accepts interval, ignore_last'),
        (HOOKS, {'type': 'LoggerHook', 'x': 1}, '_delete_=True'),
        (
            HOOKS,
            {'type': 'LoggerHook', 'interval': 0},
            'ValueError: interval must be greater than 0; ',
        ),
        (PARTS, {'type': 'Own', 'size': 1, 'extra': 2}, "'extra'"),  # handed on: the config has it
    ],
)
def test_what_a_config_says_wrongly_is_a_config_error(registry, config, expected):
    with pytest.raises(ConfigError) as caught:
        build(config, registry)
    assert expected in str(caught.value)
    assert caught.value.__cause__ is not None
    assert '\n' not in str(caught.value)


def test_a_fault_inside_the_users_own_code_goes_on_as_it_is():
    with pytest.raises(AttributeError) as caught:
        build({'type': 'Own', 'size': 1, 'fault': 'deep'})
    lines = Path(__file__).read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if 'self.nothing' in text)
    [note] = caught.value.__notes__
    assert note == f'raised in {__file__}:{line}, while the some_part of the config (Own) was built'


def test_what_a_library_raises_for_the_users_own_code_is_a_fault_of_that_code():
    with pytest.raises(ValueError, match='empty parameter list') as caught:
        build({'type': 'Own', 'size': 1, 'fault': 'library'})
    assert not isinstance(caught.value, ConfigError)
    assert own_place(caught.value).startswith(__file__)


@pytest.mark.parametrize(
    'error', [DataError('x'), MemoryError(), OSError(28, 'No space left on device'), KeyboardInterrupt()]
)
def test_what_is_no_fault_of_the_config_goes_through(error):
    with pytest.raises(type(error)) as caught, building('some_part'):
        raise error
    assert caught.value is error


def test_a_process_that_is_gone_is_no_fault_of_the_config(monkeypatch):
    lost = DistNetworkError('Failed to recv, got 0 bytes. Connection was likely closed.')
    with pytest.raises(ConfigError), building('some_part'):
        raise lost  # in a run of one process, whatever it is, it is no other process
    monkeypatch.setattr('infopro_seg.training.building.is_distributed', lambda: True)
    words = 'another process ended before the training began; .*got 0 bytes'
    with pytest.raises(RankError, match=words), building('some_part'):
        raise lost
    with pytest.raises(ConfigError), building('some_part'):
        raise RuntimeError('shapes do not match')


def test_a_part_built_on_the_way_is_named():
    def build_dataloader():
        HOOKS.build({'type': 'LoggerHook', 'interval': 0})

    with (
        pytest.raises(ConfigError, match='cannot build the val_dataloader of the config'),
        building('val_cfg', build_dataloader='val_dataloader'),
    ):
        build_dataloader()
    with (
        pytest.raises(ConfigError, match='cannot build the val_hooks of the config'),
        building('val_cfg', hook='val_hooks'),
    ):
        build_dataloader()


def test_the_nearest_name_is_found_regardless_of_case():
    assert nearest('mIou', ['aAcc', 'mIoU']) == 'mIoU'
    assert nearest('something', ['aAcc', 'mIoU']) is None
