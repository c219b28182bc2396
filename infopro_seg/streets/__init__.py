"""Draws street scenes: camera, light, shapes, and the files of a data set.

Read `scene` first: it composes a frame. `data_set` makes a whole data set.
"""

from infopro_seg.streets.scene import VERSION, Frame, draw_frame

__all__ = ['VERSION', 'Frame', 'draw_frame']
