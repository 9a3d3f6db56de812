# One verb each. Every verb works on a fresh clone with Python 3.10+ and make.
PYTHON ?= python3
BIN := .venv/bin
BACKBONE := checkpoints/sgd_frozen.safetensors

.PHONY: demo test train report bench choices

demo: .venv/ready
	rm -rf runs/demo
	$(BIN)/python -m trainer train --sample --epochs 2 --backbone $(BACKBONE) --out runs/demo
	$(BIN)/python -m trainer predict trainer/sample/example.png --checkpoints runs/demo

test: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	$(BIN)/python -m pytest

train: .venv/ready
	$(BIN)/python -m trainer train

report: .venv/ready
	$(BIN)/python -m trainer report --html runs/report.html

bench: .venv/ready
	$(BIN)/python -m bench.training --backbone $(BACKBONE)

choices: .venv/ready
	$(BIN)/python -m bench.choices --backbone $(BACKBONE)

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@
