import pytest

from tests import optional_packages
from tests.fixtures import common, made_once

optional_packages.import_classification()

collect_ignore_glob = [] if optional_packages.has('mmpretrain') else ['test_*.py']


@pytest.fixture(scope='session')
def run(tmp_path_factory):
    """The folder of a short training, with its config, data and checkpoint."""
    from infopro_seg.training.launch import train
    from tests.classification.made import write_config, write_npz

    def make(folder):
        config = write_config(folder / 'config.py', write_npz(folder / 'made.npz'))
        train(config, work_dir=str(folder / 'run'))

    return made_once(common(tmp_path_factory) / 'classifier', make)
