"""Runs a tool as if neither torch nor OpenMMLab's packages were there: `without_torch.py TOOL ARGUMENTS`."""

import runpy
import sys
from importlib.abc import MetaPathFinder

MISSING = ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmseg', 'cityscapesscripts', 'matplotlib', 'scipy')


class Missing(MetaPathFinder):
    """Finds what is missing before anything else does, and says that it is missing."""

    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in MISSING:
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)


if __name__ == '__main__':
    sys.meta_path.insert(0, Missing())
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name='__main__')
