# Each target sets up what it needs. PYTHON chooses the interpreter (3.11 or newer).
PYTHON ?= python3
DEMO := .venv-demo
TEST := .venv-test
TORCH := torch==2.13.0
PIP := install --quiet --disable-pip-version-check

.PHONY: demo test lint prose fuzz faults clean

demo: $(DEMO)/.installed  ## the main job on bundled data: a zoo, WS-KAN, a table and two pictures
	$(DEMO)/bin/wskan quickstart

test: $(TEST)/.installed lint  ## everything CI checks
	$(TEST)/bin/python -m pytest -n 2 -m "not slow" --cov --cov-report=term

lint: $(TEST)/.installed
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/mypy
	$(TEST)/bin/lint-imports
	$(TEST)/bin/python tools/prose.py

prose:  ## part of lint: sentence lengths and wording of Markdown files and docstrings against the limits in tools/prose.py
	$(PYTHON) tools/prose.py

fuzz: $(TEST)/.installed  ## N mutants of every kind of file that wskan reads: a table, and results/safety/fuzz.json
	OMP_NUM_THREADS=1 $(TEST)/bin/python -m fuzz --count $(or $(N),10000)

# N scales the repetitions; QUICK=1 tries what CI does; ONLY="disks links" chooses.
faults: $(TEST)/.installed  ## kills, full disks, read-only folders, races, signals, damaged files: which promises hold
	$(TEST)/bin/python -m faults --scale $(or $(N),1) $(if $(QUICK),--quick) $(ONLY)

# torch first and alone, by its exact version: what is installed after it cannot then choose another build.
$(DEMO)/.installed: requirements/runtime.lock pyproject.toml
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip $(PIP) $(TORCH)
	$(DEMO)/bin/pip $(PIP) -r requirements/runtime.lock
	$(DEMO)/bin/pip $(PIP) --no-deps -e .
	touch $@

$(TEST)/.installed: requirements/runtime.lock requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(TEST)
	$(TEST)/bin/pip $(PIP) $(TORCH)
	$(TEST)/bin/pip $(PIP) -r requirements/runtime.lock -r requirements/dev.lock
	$(TEST)/bin/pip $(PIP) --no-deps -e .
	touch $@

clean:
	rm -rf $(DEMO) $(TEST) quickstart
