# make demo: set up, make small synthetic data, train, evaluate; results in work_dirs/demo
# make test: set up and run the tests;  make lint: ruff and mypy
PYTHON ?= python3
BIN := .venv/bin
DEMO_DATA := data/synthetic_streets_demo

.PHONY: demo test lint clean

demo: .venv/users.stamp
	$(BIN)/python tools/make_synthetic_streets.py --out $(DEMO_DATA) --train 400 --val 50 --size 128 256 --seed 0
	$(BIN)/python tools/train.py configs/infopro_demo.py
	@echo "The results are in work_dirs/demo: panel.png, metrics.json, iter_*.pth"

# each worker, and each process that a test starts, would compile our modules anew without their bytecode
test: .venv/developers.stamp
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest

lint: .venv/developers.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache

.venv/users.stamp: requirements.txt pyproject.toml
	@sh tools/setup_venv.sh $(PYTHON) requirements.txt
	@touch $@

.venv/developers.stamp: .venv/users.stamp requirements-dev.txt requirements-encoders.txt
	@sh tools/setup_venv.sh $(PYTHON) requirements-dev.txt
	@sh tools/setup_venv.sh $(PYTHON) requirements-encoders.txt --no-deps
	@touch $@
