"""Every page's links lead somewhere, and the configs of its commands are there."""

import re

import pytest

from tests.docs.shell import PAGES, calls, name
from tests.runs import ROOT

OWN_FILES = {'my_config.py', 'my_infopro.py'}  # what a page tells its reader to write


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_and_pictures_are_there(page):
    targets = re.findall(r'\]\((?!https?:)([^)#\s]+)', page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize('page', [page for page in PAGES if list(calls(page))], ids=name)
def test_every_config_of_a_command_is_there(page):
    for _, *words in calls(page):
        configs = [word for word in words if word.endswith('.py') and not word.startswith('work_dirs')]
        missing = [word for word in configs if not (ROOT / word).is_file() and word not in OWN_FILES]
        assert [word for word in missing if words[words.index(word) - 1] != '--write-config'] == []


def test_the_readme_is_short():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 120
