import json
import math
import os

import numpy as np
import pytest

from infopro_seg.errors import UserError
from infopro_seg.files import whole_file
from infopro_seg.outputs import require_file, require_folder, require_json, require_own_results
from infopro_seg.strict_json import to_json, write_json


def test_numbers_that_are_none_become_null_and_the_rest_stays():
    content = {'a': math.nan, 'b': [1, -math.inf, np.float32('nan')], 'c': {'d': (0.5, 'NaN', None, True)}}
    content['e'] = np.array([[1.5, math.inf], [2, 3]])
    read = json.loads(to_json(content), parse_constant=lambda name: pytest.fail(name))
    assert read == {
        'a': None,
        'b': [1, None, None],
        'c': {'d': [0.5, 'NaN', None, True]},
        'e': [[1.5, None], [2, 3]],
    }
    assert math.isnan(content['a'])  # the caller's is untouched


def test_a_file_is_replaced_only_when_the_next_is_complete(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, {'first': 1})
    with pytest.raises(RuntimeError), whole_file(path) as partial:  # noqa: PT012
        partial.write_text('half')
        assert json.loads(path.read_text()) == {'first': 1}
        raise RuntimeError
    assert json.loads(path.read_text()) == {'first': 1}
    write_json(path, {'second': 2})
    assert json.loads(path.read_text()) == {'second': 2}
    assert [file.name for file in tmp_path.iterdir()] == ['a.json']


def test_a_file_that_finds_no_room_is_named(tmp_path):
    with pytest.raises(UserError, match=r'cannot write .*/a: No space left on device; make room'):  # noqa: SIM117
        with whole_file(tmp_path / 'a'):
            raise OSError(28, 'No space left on device')


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    reader = os.open(tmp_path / 'pipe', os.O_RDONLY | os.O_NONBLOCK)
    assert require_file(tmp_path / 'pipe', '--json') == tmp_path / 'pipe'
    write_json(tmp_path / 'pipe', [1], indent=None)
    assert os.read(reader, 99) == b'[1]\n'
    os.close(reader)
    assert (tmp_path / 'pipe').is_fifo()


def test_a_link_stays(tmp_path):
    (tmp_path / 'a.json').touch()
    (tmp_path / 'link').symlink_to('a.json')
    write_json(tmp_path / 'link', [1], indent=None)
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'a.json').read_text() == '[1]\n'


def test_a_folder_is_made_and_tried(tmp_path):
    assert require_folder(tmp_path / 'deep' / 'out') == tmp_path / 'deep' / 'out'
    assert list((tmp_path / 'deep' / 'out').iterdir()) == []
    (tmp_path / 'file').touch()
    for path, told in (('file', r'--out .*/file is a file; name a folder'), ('file/in', 'cannot write to')):
        with pytest.raises(UserError, match=told):
            require_folder(tmp_path / path)
    with pytest.raises(UserError, match=r'cannot write to --out /proc/none: .*; name another'):
        require_folder('/proc/none')


def test_a_folder_that_takes_no_files_is_refused(tmp_path, monkeypatch):
    """Root, as which tests may run, may write anywhere, so that the system's refusal is made up."""

    def refuse(*args, **kwargs):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('tempfile.TemporaryFile', refuse)
    with pytest.raises(UserError, match=r'cannot write to --out .*: Permission denied; name another'):
        require_folder(tmp_path)


def test_a_file_to_write_is_checked(tmp_path):
    assert require_file(tmp_path / 'deep' / 'a.json', '--json') == tmp_path / 'deep' / 'a.json'
    assert (tmp_path / 'deep').is_dir()
    with pytest.raises(UserError, match=r'--json .*/deep is a folder; name a file'):
        require_file(tmp_path / 'deep', '--json')
    with pytest.raises(UserError, match=r'--plot .*/a.txt does not end in .png or .pdf'):
        require_file(tmp_path / 'a.txt', '--plot', ('.png', '.pdf'))
    with pytest.raises(UserError, match=r'cannot write to --json /proc/none/a.json, in /proc/none: '):
        require_file('/proc/none/a.json', '--json')


OTHERS = [b'PK\x03\x04', b"_base_ = 'a.py'\n", b'\x89PNG\r\n', b'\n# notes']
OTHERS += [
    b'{"environment": {}, "recipes": []}',
    b'{"model": {"type": "A"}}',
    b'[{"images": []}]',
    b'{"mIoU": ',
    b'[1]',
    b'{"images": "\xff"}',
]


@pytest.mark.parametrize('content', OTHERS)
def test_the_results_of_another_tool_are_not_replaced(tmp_path, content):
    file = tmp_path / 'results.json'
    file.write_bytes(content)
    with pytest.raises(UserError, match=r'results\.json already exists .* name another folder \(--out\)'):
        require_own_results(tmp_path, {'setting', 'runs'})
    for own in ('', '{"setting": {}, "runs": []}'):
        file.write_text(own)
        require_own_results(tmp_path, {'setting', 'runs'})


@pytest.mark.parametrize('content', OTHERS)
def test_json_replaces_results_and_nothing_else(tmp_path, content):
    file = tmp_path / 'iter_4.pth'
    file.write_bytes(content)
    with pytest.raises(UserError, match=r'--json .*/iter_4.pth already exists and is not an earlier result'):
        require_json(file)
    test, plan = '{"mIoU": 1, "percent": {}, "checkpoint": "a"}', ' \n[{"recipe": "e2e", "peak_gib": 1}]'
    for earlier in ('', '{}', test, plan):
        file.write_text(earlier)
        assert require_json(file) == file
    require_json('/dev/stdout')
    require_json(tmp_path / 'new.json')


def test_a_dash_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r'--json - stands for no file.*; name a file'):
        require_json('-')
    assert list(tmp_path.iterdir()) == []
