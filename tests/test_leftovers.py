from tests import leftovers


def test_files_and_empty_folders_count_and_caches_do_not(tmp_path):
    for name in ('work_dirs/a/log.txt', 'module/__pycache__/module.pyc', '.git/HEAD', 'kept.py', '.hidden'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'data' / 'empty').mkdir(parents=True)
    assert leftovers.files_of(tmp_path) == {'work_dirs/a/log.txt', 'kept.py', 'data/empty'}


def test_a_file_that_a_test_leaves_fails_the_session(pytester, monkeypatch):
    pytester.makeconftest(
        'from tests import leftovers\n'
        'from tests.leftovers import pytest_sessionfinish, pytest_sessionstart, pytest_terminal_summary\n'
    )
    test = pytester.makepyfile("from pathlib import Path\ndef test_it(): Path('left.txt').touch()")
    monkeypatch.setattr(leftovers, 'ROOT', pytester.path)
    found = pytester.inline_run(test, '-n', '0', '-p', 'no:cacheprovider')
    assert (found.ret, found.countoutcomes()) == (1, [1, 0, 0])
    (pytester.path / 'left.txt').unlink()
    test.write_text('def test_it(): pass')
    assert pytester.inline_run(test, '-n', '0', '-p', 'no:cacheprovider').ret == 0
