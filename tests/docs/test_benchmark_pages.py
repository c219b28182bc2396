"""What the scripts that write tables into pages share."""

import pytest

from tests.docs.benchmark_modules import BENCHMARKS, imported


@pytest.fixture
def pages(monkeypatch):
    return imported(monkeypatch, BENCHMARKS, 'pages')


def test_a_table_is_replaced_between_its_rule_and_the_next_empty_line(pages):
    wider = '| a | b | c |\n|---|---|---|\n| old | 1 | 2 |\n\n'
    page = wider + '| a | b |\n|---|---|\n| old | 1 |\n| old | 2 |\n\nmore\n\nend\n'
    assert pages.written(page, {'| a | b |': ['| new | 3 |']}) == (
        wider + '| a | b |\n|---|---|\n| new | 3 |\n\nmore\n\nend\n'
    )


def test_a_line_has_its_cells_and_empty_ones(pages):
    assert pages.line('a', '', 2, '') == '| a | | 2 | |'


def test_values_are_listed_or_averaged(pages):
    assert pages.figures([1.0, 2.25], 1) == '1.0, 2.2'
    assert pages.spread([1.0, 2.0, 6.0]) == '3.00 ± 2.65'  # the root of 7
    assert pages.spread([1.25], '+', 1) == '+1.2'
