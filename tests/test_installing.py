"""What pip is told to install."""

from importlib import metadata

import pytest

from infopro_seg import installing

INDEX = ' --extra-index-url INDEX_THAT_HAS_YOUR_TORCH'


@pytest.mark.parametrize(
    ('torch', 'wanted'),
    [
        ('2.11.0', '"torchvision==0.26.*"'),
        ('2.13.0+cpu', f'"torchvision==0.28.*"{INDEX}'),
        ('2.6.0+rocm6.2.4', f'"torchvision==0.21.*"{INDEX}'),
        ('2.7.0a0+79aa.nv25.04', f'"torchvision==0.22.*"{INDEX}'),
        ('2.7.0a0', '"torchvision==0.22.*"'),
        ('3.0.0', 'torchvision'),
    ],
)
def test_torchvision_is_that_of_the_installed_torch(monkeypatch, torch, wanted):
    monkeypatch.setattr(installing, 'version', lambda name: torch)
    assert installing.torchvision() == wanted


def test_without_torch_nothing_is_pinned(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installing, 'version', missing)
    assert installing.torchvision() == 'torchvision'
