"""Errors for pretrained weights: which file, where it was looked for, and how to train without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pickle import UnpicklingError
from typing import Any

from mmengine.runner.checkpoint import get_deprecated_model_names

from infopro_seg.checkpoints import SCHEMES, location_of
from infopro_seg.errors import CheckpointError
from infopro_seg.models.pretrained_fit import Fit

REMEDY = (
    'give a local file (--cfg-options model.backbone.encoder.init_cfg.checkpoint=FILE, or '
    'model.pretrained=FILE if the config has that key), or train from scratch '
    '(--cfg-options model.backbone.encoder.init_cfg=None)'
)


@contextmanager
def pretrained_errors(encoder: Any) -> Iterator[None]:
    """Explains errors of the encoder's initialisation, which runs within the context.

    Raises:
        CheckpointError: the pretrained weights are unknown, cannot be loaded, or belong to another network.
    """
    name = pretrained_of(encoder)
    if name is None:
        yield
        return
    require_known(name)
    fit = Fit(encoder)
    try:
        with fit.watch():
            yield
    except (OSError, ImportError, UnpicklingError) as error:
        raise pretrained_error(name, error) from error
    except RuntimeError as error:
        if 'torchvision' in str(error):
            raise pretrained_error(name, error) from error
        if fit.loaded and 'size mismatch' in str(error):
            raise fit.error(name, 'do not fit', REMEDY) from error
        raise
    except AssertionError as error:  # mmengine's, of a prefix that no name begins with
        if 'is not in the pretrained model' not in str(error):
            raise
        raise CheckpointError(
            f'no name in the pretrained weights {name!r} begins with the prefix of init_cfg: {error}; '
            'correct the prefix, or leave it out'
        ) from error
    fit.require_some(name, REMEDY)


def pretrained_of(encoder: Any) -> str | None:
    """The name of the weights that an encoder starts from, None for none."""
    init = getattr(encoder, 'init_cfg', None)
    for item in init if isinstance(init, (list, tuple)) else [init]:
        if isinstance(item, dict) and item.get('type') == 'Pretrained':
            return str(item['checkpoint'])
    return None


def require_known(name: str) -> None:
    """Checks that a name such as `open-mmlab://NAME` is in mmengine's lists.

    Raises:
        CheckpointError: the name is unknown; the message lists similar names.
    """
    for scheme, known in SCHEMES.items():
        if name.startswith(scheme):
            names = {*known(), *get_deprecated_model_names()}
            model = name.removeprefix(scheme)
            if model not in names:
                similar = get_close_matches(model, names, n=5, cutoff=0.4)
                hint = ', '.join(scheme + other for other in similar) or 'see the model zoo of mmengine'
                raise CheckpointError(
                    f'there are no pretrained weights {name!r}; similar: {hint}; or {REMEDY}'
                )


def pretrained_error(name: str, error: BaseException) -> CheckpointError:
    """The error for pretrained weights that cannot be loaded."""
    return CheckpointError(
        f'cannot load the pretrained weights {name!r} of the encoder ({type(error).__name__}: {error}). They '
        f'are looked for in {location_of(name)}. Put the file there, {REMEDY}'
    )
