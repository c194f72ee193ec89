# `make demo` shows what lskd does, `make test` checks it; both make their own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
# What is used is compiled when it is first imported.
INSTALL = $(PIP) install --no-compile
# uv unpacks side by side: half the time of pip or less. It reads no pip.conf: where it finds no
# index, pip does it.
UV = $(BIN)/uv pip install --quiet --python $(BIN)/python
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder
EDITABLE = --constraint constraints.txt --editable '.[$(EXTRAS)]'

# Where this is set, every process would compile all that it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-light test packages lint check coverage mutants bench docs clean

# First eight photographs become a corpus, then a student is trained and evaluated in the lab.
demo: demo-light $(VENV)/.lab
	$(BIN)/lskd lab run runs/lab/demo.toml --scenes 600 --tests 120 --out out/lab-demo

# The first half alone; it needs no torch.
demo-light: $(VENV)/.demo
	$(BIN)/lskd run runs/demo.toml

# A file of tests each, torch on one thread: its own would get in each other's way. On two cores
# four processes, since many tests wait for a server, a browser or a process of their own. Files
# that take long begin first (tests/conftest.py).
test: packages
	@$(MAKE) --no-print-directory --jobs 2 lint $(VENV)/.compiled
	$(PYTEST)

# PostgreSQL and Chromium, where they are missing and may be installed; never fails.
packages:
	@.ci/packages

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The long rest: what `make test` leaves out for the sake of time.
check: $(VENV)/.dev
	$(BIN)/python -m pytest -m check

# Which lines and branches the tests of `make test` reach, also in the processes that they start.
coverage: $(VENV)/.dev
	$(UV) --constraint constraints.txt pytest-cov || $(INSTALL) --constraint constraints.txt pytest-cov
	$(PYTEST) --timeout 900 --cov --cov-report term:skip-covered

# Mistakes made on purpose in parser, metrics, marking and objectives: do the tests find them?
mutants: $(VENV)/.dev
	$(BIN)/python bench/mutants.py

bench: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python bench/teacher.py
	$(BIN)/python bench/marking.py
	$(BIN)/python bench/pipeline.py
	$(BIN)/python bench/packing.py
	$(BIN)/python bench/frozen.py
	$(BIN)/python bench/matching.py
	$(BIN)/python bench/scoring.py
	$(BIN)/python bench/evaluation.py
	PYTHONPATH=tests $(BIN)/python bench/studio.py
	$(BIN)/python bench/scale.py
	$(BIN)/python bench/fuzz.py

# The documentation as a site, in out/site/.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) uv

$(VENV)/.demo: EXTRAS = demo
$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	$(UV) $(EDITABLE) || $(INSTALL) $(EDITABLE)
	@touch $@

# One process compiles what tests import, else several would do the same at once. What cannot be
# imported the tests themselves tell.
$(VENV)/.compiled: $(VENV)/.dev
	@$(BIN)/python -m pytest --collect-only --quiet > $@ || true

# torch comes first and by its exact version, so that no other requirement chooses a build of it.
$(VENV)/.lab: EXTRAS = demo,train,ui
$(VENV)/.lab: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) torch==2.13.0
	$(UV) $(EDITABLE) || $(INSTALL) $(EDITABLE)
	@touch $@

$(VENV)/.dev: EXTRAS = dev
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) torch==2.13.0
	$(UV) $(EDITABLE) || $(INSTALL) $(EDITABLE)
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build dist out
