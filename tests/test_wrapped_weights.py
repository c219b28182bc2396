import errno

import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader

from infopro_seg.checkpoints import config_of, read_checkpoint, unwrap
from infopro_seg.errors import CheckpointError, MachineError, OutputError
from infopro_seg.hooks import CheckpointGuardHook
from tests.stand_ins import assert_same, build, model_config


@pytest.mark.parametrize('prefix', ['module.', '_orig_mod.', 'module._orig_mod.'])
@pytest.mark.parametrize('bare', [False, True])
def test_weights_of_a_wrapped_model_lose_the_prefix(tmp_path, prefix, bare):
    weights = {'a.weight': torch.ones(2), 'module.b': torch.zeros(1), 'c': torch.ones(1)}
    wrapped = {f'{prefix}{key}': value for key, value in weights.items()}
    torch.save(wrapped if bare else {'state_dict': wrapped}, tmp_path / 'wrapped.pth')
    content = read_checkpoint(tmp_path / 'wrapped.pth')
    assert_same(content if bare else content['state_dict'], weights)


def test_arrays_become_tensors(tmp_path):
    """mmengine leaves arrays out, and the network would keep its first, random weights."""
    arrays = {'a': np.ones((2, 3), np.float32), 'b': np.array(5), 'name': 'text'}
    torch.save({'state_dict': arrays}, tmp_path / 'arrays.pth')
    weights = read_checkpoint(tmp_path / 'arrays.pth')['state_dict']
    assert weights.pop('name') == 'text'
    assert_same(weights, {'a': torch.ones(2, 3), 'b': torch.tensor(5)})


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ({'state_dict': None}, 'contains a NoneType in place of weights by name'),
        ({'state_dict': [torch.ones(1)]}, 'contains a list in place of weights'),
        ({0: torch.ones(1)}, 'contains a dict with the key 0 in place of weights'),
    ],
    ids=['none', 'list', 'numbered'],
)
def test_what_holds_no_weights_by_name_is_refused(tmp_path, content, words):
    torch.save(content, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(tmp_path / 'odd.pth')
    guard, model = CheckpointGuardHook(), build(model_config())
    runner = type('', (), {'model': model, '_train_loop': object(), '_load_from': 'x', '_resume': False})
    with pytest.raises(CheckpointError, match=words):
        guard.after_load_checkpoint(runner, content)


@pytest.mark.parametrize('meta', ['version 1', None, ['cfg']], ids=str)
def test_the_meta_of_another_program_is_left_out(tmp_path, meta):
    torch.save({'state_dict': {'a': torch.ones(1)}, 'meta': meta}, tmp_path / 'other.pth')
    content = read_checkpoint(tmp_path / 'other.pth')
    assert 'meta' not in content
    with pytest.raises(CheckpointError, match=r'other holds no config \(meta\.cfg\)'):
        config_of(content, 'other')


@pytest.mark.parametrize('text', ['model = dict(', 7])
def test_a_damaged_config_in_a_checkpoint_is_named(text):
    with pytest.raises(
        CheckpointError, match=r'the config in odd\.pth \(meta\.cfg\) cannot be read: .*Error'
    ):
        config_of({'meta': {'cfg': text}}, 'odd.pth')


def test_other_weights_are_left_alone():
    for content in ({'state_dict': {'module.a': 1, 'b': 2}}, {'state_dict': {}}, {'meta': {}}):
        before = {key: dict(value) for key, value in content.items()}
        unwrap(content, 'a.pth')
        assert content == before


def test_a_training_starts_from_weights_of_a_wrapped_model():
    model = build(model_config())
    runner = type('', (), {'model': model, '_train_loop': object(), '_load_from': 'x', '_resume': False})
    checkpoint = {'state_dict': {f'module.{key}': value for key, value in model.state_dict().items()}}
    CheckpointGuardHook().after_load_checkpoint(runner, checkpoint)
    assert checkpoint['state_dict'].keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ('error', 'kind', 'words'),
    [
        (
            PermissionError(errno.EACCES, 'Permission denied', 'a.pth'),
            OutputError,
            'a.pth: Permission denied',
        ),
        (OSError(errno.EIO, 'Input/output error', 'a.pth'), OutputError, 'a.pth: Input/output error'),
        (MemoryError(), MachineError, 'memory of the machine is used up'),
        (EOFError(), CheckpointError, 'it is not a checkpoint, or it is incomplete'),
    ],
)
def test_a_fault_of_the_machine_is_not_blamed_on_the_checkpoint(tmp_path, monkeypatch, error, kind, words):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(CheckpointLoader, 'load_checkpoint', fail)
    (tmp_path / 'a.pth').touch()
    with pytest.raises(kind, match=words):
        read_checkpoint(tmp_path / 'a.pth')
