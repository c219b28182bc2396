"""Street scenes drawn by a program: camera, light, shapes, and the files of a data set."""

from infopro_seg.streets.scene import VERSION, Frame, draw_frame

__all__ = ['VERSION', 'Frame', 'draw_frame']
