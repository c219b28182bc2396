import subprocess
import sys

import pytest

LAY_OUT = """
from infopro_seg.yapf_import import import_yapf
{first}
from mmengine.config import Config
print(Config(dict(a=dict(b=1))).pretty_text)
"""


def lay_out(cache, first):
    code = LAY_OUT.format(first=first)
    environment = {'XDG_CACHE_HOME': str(cache), 'PATH': '/usr/bin:/bin', 'PYTHONPATH': ':'.join(sys.path)}
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment)


@pytest.fixture
def damaged(tmp_path):
    """A cache of yapf whose first grammar was not written."""
    assert lay_out(tmp_path, '').returncode == 0
    (grammar,) = tmp_path.rglob('Grammar*.pickle')
    grammar.write_bytes(b'')
    return tmp_path


def test_a_config_is_laid_out_where_the_cache_of_yapf_is_damaged(damaged):
    run = lay_out(damaged, 'import_yapf()')
    assert run.stdout == 'a = dict(b=1)\n\n', run.stderr
    assert run.stdout == lay_out(damaged / 'fresh', '').stdout


def test_reading_a_config_comes_before_laying_it_out(damaged):
    run = lay_out(damaged, "from infopro_seg.config_files import load_config; load_config('infopro_demo')")
    assert run.stdout == 'a = dict(b=1)\n\n', run.stderr


def test_the_packages_have_their_modules_as_attributes_after_a_damaged_cache(damaged):
    """Without them `yapf.yapflib.yapf_api` is found by `from ... import` only."""
    code = 'import_yapf(); import yapf; from yapf.yapflib.yapf_api import FormatCode as f; '
    run = lay_out(damaged, f'{code}assert yapf.yapflib.yapf_api.FormatCode is f')
    assert run.stdout == 'a = dict(b=1)\n\n', run.stderr
