"""The commands: what `tools/*.py` and `python -m infopro_seg NAME` run. Each module has one `main`."""
