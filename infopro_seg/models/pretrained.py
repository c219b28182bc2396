"""Errors for pretrained weights: which file, where it was looked for, and how to train without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from mmengine.runner.checkpoint import get_deprecated_model_names

from infopro_seg.checkpoints import SCHEMES, location_of, read_checkpoint
from infopro_seg.errors import CheckpointError
from infopro_seg.models.pretrained_fit import Fit

ENCODER = 'backbone.encoder'
REMEDIES = {
    'encoder': 'give a local file (--cfg-options model.backbone.encoder.init_cfg.checkpoint=FILE, or '
    'model.pretrained=FILE if the config has that key), or train from scratch '
    '(--cfg-options model.backbone.encoder.init_cfg=None)',
    'model': 'give a local file (--cfg-options model.init_cfg.checkpoint=FILE), or start without it '
    '(--cfg-options model.init_cfg=None)',
}


@contextmanager
def pretrained_errors(network: Any, part: str) -> Iterator[None]:
    """Explains errors of the initialisation of an encoder or a whole model, which runs within the context.

    Args:
        network: the encoder or model.
        part: `encoder` or `model`.

    Raises:
        CheckpointError: the pretrained weights are unknown, cannot be loaded, or belong to another network.
    """
    name, remedy = pretrained_of(network), REMEDIES[part]
    if name is None:
        yield
        return
    require_known(name, remedy)
    fit = Fit(network, part)
    try:
        with fit.watch():
            yield
    except (OSError, ImportError, UnpicklingError) as error:
        raise pretrained_error(name, part, error) from error
    except RuntimeError as error:
        if 'torchvision' in str(error):
            raise pretrained_error(name, part, error) from error
        if fit.loaded and 'size mismatch' in str(error):
            raise fit.error(name, 'do not fit', remedy) from error
        raise
    except AssertionError as error:  # mmengine's, of a prefix that no name begins with
        if 'is not in the pretrained model' not in str(error):
            raise
        raise CheckpointError(
            f'no name in the pretrained weights {name!r} begins with the prefix of init_cfg: {error}; '
            'correct the prefix, or leave it out'
        ) from error
    except Exception as error:  # unpickling may raise any
        if fit.loaded or not _is_broken(name):
            raise
        raise pretrained_error(name, part, error) from error
    fit.require_some(name, remedy)


def _is_broken(name: str) -> bool:
    """Whether weights are a file that cannot be read as a checkpoint."""
    file = Path(name).expanduser()
    if not file.is_file():
        return False
    try:
        read_checkpoint(file)
    except CheckpointError:
        return True
    return False


def require_pretrained_files(model: Any) -> None:
    """Checks that the pretrained weights of a model's heads and other parts exist, where they are files.

    Args:
        model: a segmentor or classifier. The weights of its encoder and of the whole model are not looked at:
            `pretrained_errors` explains what is wrong with them.

    Raises:
        CheckpointError: there is no such file.
    """
    for key, module in model.named_modules():
        name = pretrained_of(module)
        if key in ('', ENCODER) or name is None or '://' in name:
            continue
        file = Path(name).expanduser()  # as mmengine reads it
        if file.is_file():
            continue
        option = f'model.{key}.init_cfg'
        raise CheckpointError(
            f'{option} names the pretrained weights {name!r}, but there is no file {file.absolute()}; '
            f'give one (--cfg-options {option}.checkpoint=FILE), or start without it (--cfg-options '
            f'{option}=None)'
        )


def pretrained_of(network: Any) -> str | None:
    """The name of the weights that a network or a part of it starts from, None for none."""
    return pretrained_in(getattr(network, 'init_cfg', None))


def pretrained_in(init_cfg: Any) -> str | None:
    """The name of the weights in an `init_cfg`, a dict or a list of dicts; None for none."""
    for item in init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]:
        if isinstance(item, dict) and item.get('type') == 'Pretrained':
            return str(item['checkpoint'])
    return None


def require_known(name: str, remedy: str) -> None:
    """Checks that a name such as `open-mmlab://NAME` is in mmengine's lists.

    Args:
        name: name of the weights.
        remedy: what to do instead of loading them.

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
                    f'there are no pretrained weights {name!r}; similar: {hint}; or {remedy}'
                )


def pretrained_error(name: str, part: str, error: BaseException) -> CheckpointError:
    """The error for pretrained weights of the encoder or model that cannot be loaded."""
    return CheckpointError(
        f'cannot load the pretrained weights {name!r} of the {part} ({type(error).__name__}: {error}). They '
        f'are looked for in {location_of(name)}. Put the file there, {REMEDIES[part]}'
    )
