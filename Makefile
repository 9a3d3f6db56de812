# One verb each. Every verb works on a fresh clone with Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
BACKBONE := checkpoints/sgd_frozen.safetensors

.PHONY: demo test try train report bench choices screenshots space

demo: .venv/ready
	$(BIN)/python app.py

test: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

try: .venv/ready
	rm -rf runs/try
	$(BIN)/python -m trainer train --sample --epochs 2 --backbone $(BACKBONE) --out runs/try
	$(BIN)/python -m trainer predict trainer/sample/example.png --checkpoints runs/try

train: .venv/ready
	$(BIN)/python -m trainer train

report: .venv/ready
	$(BIN)/python -m trainer report --html runs/report.html

bench: .venv/ready
	$(BIN)/python -m bench.training --backbone $(BACKBONE)
	$(BIN)/python -m bench.app
	$(BIN)/python -m bench.jobs

choices: .venv/ready
	$(BIN)/python -m bench.choices --backbone $(BACKBONE)

screenshots: .venv/ready
	QUARTET_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser -k "columns or fits or watch_and_compare or axe"
	cp docs/images/compare.png demo/card.png

# What a Space does: requirements.txt alone, in a fresh environment, then app.py.
space:
	rm -rf runs/space && $(PYTHON) -m venv runs/space
	runs/space/bin/python -m pip install --quiet -r requirements.txt
	runs/space/bin/python -m tests.app

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	command -v chromium >/dev/null || $(BIN)/python -m playwright install chromium || true
	touch $@
