"""Which process trains which local module."""

from __future__ import annotations

from dataclasses import dataclass

from infopro_seg.errors import ConfigError


@dataclass(frozen=True)
class Placement:
    """The place of a process among K local modules and D replicas of the data.

    The first rank, which logs and saves, trains the last module, because the losses of all arrive there.

    Args:
        modules: K, the number of local modules.
        replicas: D, the number of processes that train each module, on shares of the data.
        rank: the rank of this process.
    """

    modules: int
    replicas: int
    rank: int

    @property
    def module(self) -> int:
        """The local module that this process trains, from 0."""
        return self.modules - 1 - self.rank // self.replicas

    @property
    def replica(self) -> int:
        """The index of the share of the data that this process trains on."""
        return self.rank % self.replicas

    @property
    def is_first(self) -> bool:
        """Whether this process trains the first module, and so loads the images."""
        return self.module == 0

    @property
    def is_last(self) -> bool:
        """Whether this process trains the last module, which has the heads."""
        return self.module == self.modules - 1

    def rank_of(self, module: int, replica: int | None = None) -> int:
        """The rank that trains a module, by default on the same share of the data."""
        share = self.replica if replica is None else replica
        return (self.modules - 1 - module) * self.replicas + share


def place(modules: int, processes: int, rank: int) -> Placement:
    """Places a process.

    Args:
        modules: the number of local modules.
        processes: the number of processes.
        rank: the rank of this process.

    Raises:
        ConfigError: the processes cannot be divided among the modules, or there is only one module.
    """
    if modules == 1:
        raise ConfigError(
            'module-parallel training needs local modules, but the encoder has no cuts (K = 1, end to end); '
            'set cuts or num_modules, or leave out --module-parallel: several processes then share the batch'
        )
    replicas = processes // modules
    if replicas * modules != processes:
        fewer, more = (replicas, replicas + 1) if replicas else (1, 2)
        raise ConfigError(
            f'{processes} process{"es" * (processes > 1)} cannot train {modules} local modules in parallel: '
            f'each module needs the same number. Start {fewer * modules} or {more * modules} processes, e.g. '
            f'tools/dist_train.sh CONFIG {fewer * modules} --module-parallel'
        )
    return Placement(modules, replicas, rank)
