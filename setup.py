"""Installs the configs beside the code, so that commands find them by name; the rest is in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=['infopro_seg', 'infopro_seg.*']), 'infopro_seg.configs'],
    package_dir={'infopro_seg.configs': 'configs'},
    package_data={'infopro_seg.configs': ['**/*.py']},
)
