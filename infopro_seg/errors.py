"""Errors that a user can act on: each message names the cause, the value and the remedy."""

from __future__ import annotations


class UserError(ValueError):
    """Something outside the program is wrong; the command line shows the message without a traceback."""


class ConfigError(UserError):
    """A config asks for something that cannot be built."""


class DataError(UserError):
    """A data set is missing, incomplete, or does not match the config."""


class IncompleteError(DataError):
    """An image or video ends early; the predictions so far are kept."""


class CheckpointError(UserError):
    """A checkpoint is missing or damaged, or does not match the model."""


class MachineError(UserError):
    """The machine lacks what the program needs, such as memory."""


class DivergedError(UserError):
    """Losses or weights are no longer finite."""


class RankError(UserError):
    """Another process of a distributed run has ended, so that this one ends too."""


class OutputError(MachineError):
    """A file or folder cannot be written: no room, no permission, or another run writes there."""
