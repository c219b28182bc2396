"""Gives the types of mmengine's pure-Python configs, which are classes, the names that other configs have."""

from __future__ import annotations

from typing import Any

import mmengine.registry
import mmseg.registry
from mmengine.config import Config
from mmengine.registry import Registry

from infopro_seg.config_edits import edited

KNOWN = ('infopro_seg', 'mmcv', 'mmengine', 'mmseg', 'torch')  # what is registered without custom_imports


def with_named_types(config: Config) -> Config:
    """A config in which each class of the libraries that is a `type` is replaced by its name.

    So everything that reads a config, and every config that is written, sees the same names, however the
    config was given. A class of the user's own stays as it is: mmengine writes it with its module. What the
    config has imported is no part of it.

    Args:
        config: a config with classes.
    """
    names = _registered_names()
    content = {
        key: edited(value, lambda node: names.get(node, node) if isinstance(node, type) else node)
        for key, value in config.items()
        if not callable(value) and key not in config._imported_names
    }
    content.setdefault('default_scope', 'mmseg')
    return Config(content, filename=config.filename)


def _registered_names() -> dict[Any, str]:
    found: dict[Any, str] = {}
    for module in (mmseg.registry, mmengine.registry):  # names of mmseg's scope first
        for registry in vars(module).values():
            if isinstance(registry, Registry):
                for name, kind in registry.module_dict.items():
                    if kind.__module__.partition('.')[0] in KNOWN:
                        found.setdefault(kind, name)
    return found
