"""Files are written whole, or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.fileio import dump, get_file_backend

from infopro_seg.errors import OutputError
from infopro_seg.files import remove_partial_files, whole_file, write_text
from infopro_seg.training.resuming.saving import WholeFileBackend


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whoever_looks_finds_the_old_file_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / 'note'
    path.write_text('old')
    with whole_file(path) as partial:
        partial.write_text('half')
        assert path.read_text() == 'old'
        assert partial.parent == tmp_path
        partial.write_text('new')
    assert path.read_text() == 'new'
    assert names(tmp_path) == ['note']


def test_the_file_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, 'fsync', lambda fd: (events.append(os.path.realpath(f'/proc/self/fd/{fd}')), fsync(fd))
    )
    monkeypatch.setattr(os, 'replace', lambda *names: (events.append('renamed'), replace(*names)))
    monkeypatch.setattr(os, 'rename', lambda *names: pytest.fail('renamed without replacing'))
    with whole_file(tmp_path / 'note') as partial:
        partial.write_text('new')
    assert events == [str(partial), 'renamed', str(tmp_path)]


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), ValueError('mine')])
def test_after_an_error_the_old_file_is_there_and_nothing_else(tmp_path, error):
    path = tmp_path / 'note'
    path.write_text('old')

    def fail():
        with whole_file(path) as partial:
            partial.write_text('half')
            raise error

    full = isinstance(error, OSError)
    words = f'cannot write {path}: No space left' if full else 'mine'
    with pytest.raises(OutputError if full else ValueError, match=words):
        fail()
    assert path.read_text() == 'old'
    assert names(tmp_path) == ['note']


def test_an_error_of_another_file_is_not_blamed_on_this_one(tmp_path):
    with pytest.raises(FileNotFoundError, match='elsewhere'), whole_file(tmp_path / 'note'):
        (tmp_path / 'elsewhere').read_text()


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OutputError, match=r'cannot write .*no/note: No such file or directory'):
        write_text(tmp_path / 'no' / 'note', 'text')


def test_links_and_pipes_stay_what_they_are(tmp_path):
    (tmp_path / 'real').write_text('old')
    (tmp_path / 'link').symlink_to('real')
    write_text(tmp_path / 'link', 'new')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'real').read_text() == 'new'
    write_text('/dev/null', 'text')
    assert not Path('/dev/null').is_file()


def test_a_pipe_is_written_to_under_the_name_of_the_standard_output():
    code = "from infopro_seg.files import write_text; write_text('/dev/stdout', 'text')"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, 'text'), done.stderr


@pytest.mark.parametrize('name', ['x' * 255, '\u666f' * 85])
def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path, name):
    with whole_file(tmp_path / name) as one, whole_file(tmp_path / f'{name[:-1]}y') as other:
        assert one != other
        one.write_text('1')
        other.write_text('2')
    assert (tmp_path / name).read_text() == '1'
    assert len(names(tmp_path)) == 2


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / '.iter_4.pth.123.partial').write_text('half')
    (tmp_path / 'mine.partial').write_text('whole')
    remove_partial_files(tmp_path)
    assert names(tmp_path) == ['mine.partial']


def test_mmengine_writes_through_it(tmp_path):
    """Checkpoints, published models and dumps of mmengine and of hooks that users write."""
    assert isinstance(get_file_backend(str(tmp_path / 'file.pth')), WholeFileBackend)
    with pytest.raises(OutputError, match='cannot write'):
        dump({'a': 1}, '/proc/self/no.json')
    dump({'a': 1}, str(tmp_path / 'new' / 'a.json'))
    assert (tmp_path / 'new' / 'a.json').read_text() == '{"a": 1}'
