"""Budgets and ranges as users write them, and the largest number that fits."""

import pytest

from infopro_seg.errors import UserError
from infopro_seg.memory.quantities import largest, parse_bytes, parse_numbers


@pytest.mark.parametrize(
    ('text', 'size'),
    [
        ('11GiB', 11 * 2**30),
        ('11 gb', 11 * 10**9),
        ('0.5g', 5 * 10**8),
        ('10MiB', 10 * 2**20),
        ('1041.408kB', 1041408),  # whose product of floats is a little less
    ],
)
def test_budgets(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize(
    ('text', 'numbers'),
    [('1-3', [1, 2, 3]), ('4', [4]), ('6-8, 1,4,7', [1, 4, 6, 7, 8])],
)
def test_numbers_of_modules(text, numbers):
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize('text', ['', '0', '3-1', '1,', 'two', '1;2', '-1'])
def test_what_is_no_number_of_modules_is_refused(text):
    with pytest.raises(UserError, match=r'write e\.g\. 4, 1-8 or 1,4,6-8'):
        parse_numbers(text)


@pytest.mark.parametrize('last', [0, 1, 2, 3, 7, 8, 9, 30])
@pytest.mark.parametrize('limit', [1, 8, 9, 100])
def test_the_largest_number_that_fits_is_found(last, limit):
    assert largest(lambda number: number <= last, limit) == min(last, limit)
