# Everything a user or developer types. A second run installs nothing again.
PYTHON ?= python3
BIN := .venv/bin
TOPICS ?= launch train plan overhead scaling dashboard
SEED ?= 1
LANES ?= auto
LOCK ?= requirements/dev.lock
PINS = $(if $(LOCK),--constraint $(LOCK))
RESULTS ?= .tenfold/bench$(if $(QUICK),-quick)

.PHONY: demo test check bench chaos lock audit clean

demo: .venv/.demo            ## train word2vec on 1 chief, 4 ps, 8 workers
	$(BIN)/tenfold up examples/word2vec/tenfold.yaml $(DEMO)

test: export PYTHONDONTWRITEBYTECODE =
test: check                  ## everything that can be tested here; LANES=0: one test at a time
	$(BIN)/python -m pytest --numprocesses $(LANES) --durations 10 -m "not alone"
	$(BIN)/python -m pytest --durations 10 -m alone $(shell grep -rl --include=test_*.py mark.alone tests)

check: .venv/.dev            ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy && for train in examples/*/train.py; do $(BIN)/mypy $$train || exit 1; done

bench: .venv/.dev            ## measurements, long, on a quiet machine; QUICK=1: the short form
	@failed=0; for topic in $(TOPICS); do \
	  $(BIN)/python bench/$$topic.py $(if $(QUICK),--quick) --json $(RESULTS)/$$topic.json; \
	  code=$$?; test $$code = 0 || failed=1; test $$code != 130 || exit 130; \
	done; \
	$(BIN)/python bench/report.py --results $(RESULTS) $(if $(QUICK),--page $(RESULTS)/report.md); \
	exit $$failed

chaos: .venv/.dev            ## faults on real clusters, an hour; QUICK=1: the short form; CASES="a b"
	$(BIN)/python -m chaos.run $(if $(QUICK),--quick) --seed $(SEED) \
	  --json .tenfold/chaos$(if $(QUICK),-quick).json $(CASES)

lock: | .venv/bin/python     ## requirements/dev.lock: the newest versions that fit together
	$(BIN)/python requirements/lock.py

audit: .venv/.audit          ## known vulnerabilities of what is locked; AUDIT=--if-reachable: for CI
	.venv/audit/bin/python requirements/audit.py $(AUDIT)

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tenfold needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "no venv module: apt-get install python3-venv, then again"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/.demo: pyproject.toml $(LOCK) | .venv/bin/python
	@echo "setting up .venv (TensorFlow, TensorBoard, Jupyter); this happens once"
	$(BIN)/python -m pip install --quiet $(PINS) --editable '.[tensorflow,tensorboard,jupyter,charts,examples]'
	@touch $@

.venv/.dev: pyproject.toml .venv/.demo
	$(BIN)/python -m pip install --quiet $(PINS) --group dev
	@touch $@

.venv/.audit: | .venv/bin/python
	$(BIN)/python -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet pip-audit
	@touch $@

clean:                       ## what make and Python left here; runs stay in .tenfold
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
