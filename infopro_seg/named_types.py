"""Replaces the classes in mmengine's pure-Python configs by the names that other configs use."""

from __future__ import annotations

from typing import Any

import mmengine.registry
import mmseg.registry
from mmengine.config import Config
from mmengine.registry import Registry

from infopro_seg.config_edits import edited

KNOWN = ('infopro_seg', 'mmcv', 'mmengine', 'mmseg', 'torch')  # registered without custom_imports


def with_named_types(config: Config) -> Config:
    """A config in which a `type` that is a class of the libraries is replaced by its name.

    So all code that reads configs, and every written config, has the same names, in whatever form the config
    was given. The user's own classes stay: mmengine writes them with their module. Imported names are not
    part of the result.

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
