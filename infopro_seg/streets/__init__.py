"""Procedurally drawn street scenes: camera, light, shapes and the files they are written to."""

from .scene import VERSION, Frame, draw_frame

__all__ = ['VERSION', 'Frame', 'draw_frame']
