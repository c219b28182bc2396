import pytest

from infopro_seg.drawing.attempt import drawing
from infopro_seg.drawing.palette import colours


def test_colours_are_taken_as_they_are_written():
    given = [[1, 2, 3], (255, 0, 0), '#0a0b0c', 'lime']
    assert colours(given, 4).tolist() == [[1, 2, 3], [255, 0, 0], [10, 11, 12], [0, 255, 0]]


@pytest.mark.parametrize('wrong', ['no colour', (1, 2), (1, 2, 300), None, 7])
def test_what_is_no_colour_gets_one_of_our_own(wrong):
    found = colours([(1, 2, 3), wrong, (4, 5, 6)], 3).tolist()
    assert (found[0], found[2]) == ([1, 2, 3], [4, 5, 6])
    assert found[1] not in (found[0], found[2])


@pytest.mark.parametrize('count', [1, 19, 150, 300])
def test_classes_without_a_palette_can_be_told_apart(count):
    found = colours(None, count)
    assert found.shape == (count, 3)
    assert len({tuple(colour) for colour in found.tolist()}) > min(count, 200) * 0.9


def test_a_picture_that_cannot_be_drawn_costs_a_warning(tmp_path):
    told = []
    with drawing(tmp_path / 'a.png', told.append):
        raise ValueError('no such\ncolour')
    assert told == [f'{tmp_path}/a.png could not be drawn (ValueError: no such colour); nothing else is lost']
    with pytest.raises(KeyboardInterrupt), drawing(tmp_path / 'a.png', told.append):
        raise KeyboardInterrupt
