from tests import optional_packages

optional_packages.import_classification()

collect_ignore_glob = [] if optional_packages.has('mmpretrain') else ['test_*.py']
