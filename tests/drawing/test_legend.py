"""The names in pictures."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infopro_seg.drawing.legend import draw_legend


def test_a_dollar_in_a_name_begins_no_formula():
    figure = Figure()
    draw_legend(figure, [('$x^$', np.array([9, 99, 199], np.uint8)), ('5 $', np.zeros(3, np.uint8))])
    FigureCanvasAgg(figure).draw()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['$x^$', '5 $']
