"""Every page's links lead somewhere, and its commands are those of the tools."""

import re

import pytest

from tests.runs import ROOT

PAGES = sorted([ROOT / 'README.md', ROOT / 'data' / 'README.md', *(ROOT / 'docs').rglob('*.md')])
OWN_FILES = {'my_config.py', 'my_infopro.py'}  # what a page tells its reader to write


def name(page):
    return str(page.relative_to(ROOT))


def commands(page):
    """The commands of a page's shell blocks, continued lines joined, without comments."""
    blocks = re.findall(r'^```(\w*)\n(.*?)^```', page.read_text(), re.DOTALL | re.MULTILINE)
    for block in (text for language, text in blocks if language in ('', 'bash')):
        yield from block.replace('\\\n', ' ').splitlines()


def calls(page):
    """The words of each call of a tool, quotes aside."""
    for line in commands(page):
        for call in re.findall(r'(?:python )?(tools/\w+\.(?:py|sh)[^#]*)', line):
            yield re.sub(r'["\'()$]', '', call).split()


def source_of(tool):
    """The code that reads a tool's arguments."""
    command = ROOT / 'infopro_seg' / 'commands' / tool.removeprefix('tools/')
    return (command if command.is_file() else ROOT / tool).read_text()


@pytest.mark.parametrize('page', PAGES, ids=name)
def test_links_and_pictures_are_there(page):
    targets = re.findall(r'\]\((?!https?:)([^)#\s]+)', page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize('page', [page for page in PAGES if list(calls(page))], ids=name)
def test_every_option_is_one_of_the_tool(page):
    for tool, *words in calls(page):
        text = source_of(tool)
        unknown = [word for word in words if re.fullmatch(r'--[a-z-]+', word) and f"'{word}'" not in text]
        assert unknown == [], f'{tool} has no {unknown}'


@pytest.mark.parametrize('page', [page for page in PAGES if list(calls(page))], ids=name)
def test_every_config_of_a_command_is_there(page):
    for _, *words in calls(page):
        configs = [word for word in words if word.endswith('.py') and not word.startswith('work_dirs')]
        missing = [word for word in configs if not (ROOT / word).is_file() and word not in OWN_FILES]
        assert [word for word in missing if words[words.index(word) - 1] != '--write-config'] == []


def test_the_readme_is_short():
    assert len((ROOT / 'README.md').read_text().splitlines()) <= 120
