"""Importing yapf, with which mmengine lays out configs."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from unittest.mock import patch


def import_yapf() -> None:
    """Imports yapf, also where its cache of grammars is damaged.

    yapf puts the cached file in its place before it has written all of it. A process that starts at the
    same time as the first one, or after one that was killed, reads half a file and fails with an EOFError.
    Such a process makes the grammars itself, which takes a tenth of a second.
    """
    try:
        importlib.import_module('yapf.yapflib.yapf_api')
    except ImportError:
        raise
    except Exception:  # unpickling half a file raises whatever it meets
        # what was imported before the failure is no attribute of the packages that are imported anew
        for name in [name for name in sys.modules if name.partition('.')[0] in ('yapf', 'yapf_third_party')]:
            del sys.modules[name]
        with tempfile.TemporaryDirectory() as empty, patch.dict(os.environ, XDG_CACHE_HOME=empty):
            importlib.import_module('yapf.yapflib.yapf_api')
