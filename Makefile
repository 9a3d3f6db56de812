# One verb each. Every verb works on a fresh clone with Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
BACKBONE := checkpoints/sgd_frozen.safetensors

.PHONY: demo test try train report bench choices lessons screenshots space resolve scaling soak

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

lessons: .venv/ready
	$(BIN)/python -m bench.lessons

scaling: .venv/ready
	$(BIN)/python -m bench.scaling

# MINUTES=1 for a short one, which leaves docs/ as it is.
soak: .venv/ready
	$(BIN)/python -m bench.soak $(if $(MINUTES),--minutes $(MINUTES))

screenshots: .venv/ready
	QUARTET_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/browser -m screenshots
	cp docs/images/compare.png demo/card.png

# The Space, rehearsed: in an environment that holds nothing but what a Space installs. Its user is to
# run PYTHON too, which may not lie in root's home.
space: .venv/ready runs/space/ready
	$(BIN)/python -m tests.space --python runs/space/venv/bin/python

# `spaces` the platform adds itself.
runs/space/ready: requirements.txt pre-requirements.txt
	$(PYTHON) -m venv --clear runs/space/venv
	runs/space/venv/bin/python -m pip install --quiet -r pre-requirements.txt
	runs/space/venv/bin/python -m pip install --quiet -r requirements.txt
	runs/space/venv/bin/python -m pip install --quiet spaces
	touch $@

# Whether there are versions for every Python and platform that docs/hosting.md names.
resolve:
	$(PYTHON) -m venv runs/uv && runs/uv/bin/python -m pip install --quiet uv
	runs/uv/bin/uv pip compile --quiet --python-version 3.11 requirements.txt >/dev/null
	runs/uv/bin/uv pip compile --quiet --python-version 3.12 requirements.txt >/dev/null
	runs/uv/bin/uv pip compile --quiet --python-version 3.12 requirements.txt pre-requirements.txt >/dev/null
	runs/uv/bin/uv pip compile --quiet --python-version 3.12 --override pillow-override.txt requirements.txt >/dev/null

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	command -v chromium >/dev/null || $(BIN)/python -m playwright install chromium || true
	touch $@
