"""mmseg's data sets, imported without the lines that this prints on stdout."""

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):
    from mmseg.datasets import BaseSegDataset
    from mmseg.datasets.transforms import LoadAnnotations

__all__ = ['BaseSegDataset', 'LoadAnnotations']
