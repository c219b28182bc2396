"""Asynchronous training: one local module trains, on the outputs of those that are finished."""
