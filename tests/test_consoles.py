"""What the commands say while they work."""

from infopro_seg.consoles import spinner


def test_where_stderr_is_no_terminal_each_step_is_a_line(capfd):
    with spinner() as report:
        report('balancing 2 local modules [of 3]')
        assert capfd.readouterr().err == 'balancing 2 local modules [of 3]\n'  # at once
        report('x' * 300)
    assert capfd.readouterr() == ('', 'x' * 300 + '\n')
