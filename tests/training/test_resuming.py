"""Which checkpoint `--resume` takes from a work dir."""

import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger

from infopro_seg.errors import CheckpointError
from infopro_seg.training.launch import _with_cuts
from infopro_seg.training.resuming.checkpoint import (
    checkpoint_folder,
    is_whole,
    latest_checkpoint,
    require_resumable,
)

PARTS = {'meta': {'iter': 1}, 'message_hub': {}, 'optimizer': {}, 'param_schedulers': []}


def write(path, *without):
    content = {'state_dict': {'weight': torch.zeros(1000)}, **PARTS}
    torch.save({key: value for key, value in content.items() if key not in without}, path)
    return path


def config(folder, **more):
    return Config({'work_dir': str(folder), 'param_scheduler': [{'type': 'PolyLR'}], **more})


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', found.append)
    return found


@pytest.fixture
def run(tmp_path):
    """A work dir of a run that has noted its second checkpoint."""
    folder = tmp_path / 'run'
    folder.mkdir()
    for name in ('iter_4.pth', 'iter_12.pth'):
        write(folder / name)
    write(folder / 'best_mIoU_iter_12.pth', 'optimizer', 'param_schedulers')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_12.pth'))
    return folder


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == 'half':
        content = content[: len(content) // 2]
    elif how == 'empty':
        content = b''
    elif how == 'zeros':  # the end never reached the disk
        content[-500:] = bytes(500)
    elif how == 'one page':  # of the weights
        content[2000:2100] = bytes(b ^ 255 for b in content[2000:2100])
    path.write_bytes(content)


def test_the_noted_checkpoint_is_taken_without_a_word(run, warnings):
    write(run / 'iter_16.pth')  # saved, but not yet noted
    assert latest_checkpoint(config(run)) == run / 'iter_12.pth'
    assert not warnings


@pytest.mark.parametrize('how', ['half', 'empty', 'zeros', 'one page', 'missing'])
def test_where_the_noted_one_is_not_whole_the_newest_that_is_is_taken(run, warnings, how):
    noted = run / 'iter_12.pth'
    if how == 'missing':
        noted.unlink()
    else:
        damage(noted, how)
        assert not is_whole(noted)
    assert latest_checkpoint(config(run)) == run / 'iter_4.pth'
    [warning] = warnings
    assert str(noted) in warning
    assert f'continuing {run / "iter_4.pth"}' in warning
    assert ('not there' if how == 'missing' else 'is damaged') in warning


@pytest.mark.parametrize('note', [None, '', '\0\0\0'])
def test_without_a_note_the_newest_by_its_number_is_taken(run, warnings, note):
    (run / 'last_checkpoint').unlink()
    if note is not None:
        (run / 'last_checkpoint').write_text(note)
    (run / '.iter_16.pth.123.partial').write_bytes(b'half')
    assert latest_checkpoint(config(run)) == run / 'iter_12.pth'
    assert f'{run / "last_checkpoint"} is {"not there" if note is None else "empty"}' in warnings[0]


def test_a_copied_folder_never_reads_the_one_it_came_from(run, tmp_path, warnings):
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    assert latest_checkpoint(config(copy)) == copy / 'iter_12.pth'
    assert not warnings
    (copy / 'iter_12.pth').unlink()
    assert latest_checkpoint(config(copy)) == copy / 'iter_4.pth'
    assert f'({run / "iter_12.pth"} is of another folder)' in warnings[0]
    (copy / 'iter_4.pth').unlink()
    with pytest.raises(CheckpointError, match=r'delete .*last_checkpoint to start anew'):
        latest_checkpoint(config(copy))


def test_checkpoints_in_a_folder_of_their_own_are_found(run, tmp_path):
    elsewhere = config(run, default_hooks={'checkpoint': {'out_dir': str(tmp_path / 'big_disk')}})
    folder = checkpoint_folder(elsewhere)
    assert folder == tmp_path / 'big_disk' / 'run'
    folder.mkdir(parents=True)
    shutil.move(run / 'iter_12.pth', folder)
    (run / 'last_checkpoint').write_text(str(folder / 'iter_12.pth'))
    assert latest_checkpoint(elsewhere) == folder / 'iter_12.pth'


def test_a_folder_without_what_can_be_continued_starts_anew(run, warnings):
    (run / 'last_checkpoint').unlink()
    for name in ('iter_4.pth', 'iter_12.pth'):
        damage(run / name, 'half')
    assert latest_checkpoint(config(run)) is None
    assert 'starting anew' in warnings[0]
    assert latest_checkpoint(config(run / 'new')) is None
    assert len(warnings) == 1


def test_only_a_checkpoint_with_all_parts_is_resumed(tmp_path):
    path = tmp_path / 'some.pth'
    require_resumable(write(path), config(tmp_path))
    require_resumable(write(path, 'param_schedulers'), config(tmp_path, param_scheduler=None))
    words = rf'{path} holds no optimizer and no schedule, .*replace --resume by --cfg-options load_from='
    with pytest.raises(CheckpointError, match=words):
        require_resumable(write(path, 'optimizer', 'param_schedulers'), config(tmp_path))
    for part in PARTS:
        with pytest.raises(CheckpointError, match='holds no'):
            require_resumable(write(path, part), config(tmp_path))


def test_averaged_weights_are_resumed_with_the_hook_that_averages(tmp_path):
    path = tmp_path / 'iter_4.pth'
    torch.save({**torch.load(write(path), weights_only=False), 'ema_state_dict': {}}, path)
    with pytest.raises(CheckpointError, match=r'holds the averaged weights.*no EMAHook: add it to custom'):
        require_resumable(path, config(tmp_path))
    own = type('Own', (), {})  # may average as well
    for kind in ('EMAHook', 'mmengine.EMAHook', EMAHook, type('Own', (EMAHook,), {}), own):
        require_resumable(path, config(tmp_path, custom_hooks=[{'type': 'SyncBuffersHook'}, {'type': kind}]))


def test_the_number_of_local_modules_is_that_of_the_checkpoint_or_refused(tmp_path):
    path = tmp_path / 'iter_4.pth'
    torch.save({'meta': {'cfg': "model = dict(backbone=dict(cuts=['layer1.0', 'layer3.0']))"}}, path)

    def resumed(modules):
        model = {'backbone': {'num_modules': modules}}
        return _with_cuts(Config({'model': model, 'resume': True, 'load_from': str(path)}))

    assert resumed(3).model.backbone == {'num_modules': None, 'cuts': ['layer1.0', 'layer3.0']}
    with pytest.raises(
        CheckpointError, match=r'trained with 3 local modules, but the config has num_modules=4'
    ):
        resumed(4)
