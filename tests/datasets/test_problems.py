from pathlib import Path

from infopro_seg.datasets.problems import Problem, problem_lines

A, B, C = (Path(name) for name in 'abc')


def test_a_remedy_that_problems_in_a_row_share_is_said_once():
    lines = problem_lines(
        [Problem(A, 'missing', 'get it'), Problem(B, 'empty', 'get it'), Problem(C, 'x', 'y')]
    )
    assert lines == ['problem: a: missing', 'problem: b: empty', 'remedy: get it', 'problem: c: x; y']


def test_only_the_first_problems_are_shown():
    problems = [Problem(path, 'missing', 'get it') for path in (A, B, C)]
    assert problem_lines(problems, 2) == ['problem: a: missing', 'problem: b: missing', 'remedy: get it']
    assert problem_lines(problems, 1) == ['problem: a: missing; get it']
    assert problem_lines([], 1) == []
