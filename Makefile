# make demo | test | test-slow | test-long | chaos | lint | wheel-check | release-check | benchmark | docs: each sets up its own environment in .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= runs/demo-$(shell date +%Y%m%d-%H%M%S)

# Tests start hundreds of Python processes, and each would compile what no cache has.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-long chaos lint docs wheel-check release-check benchmark clean
.DEFAULT_GOAL := test

$(VENV)/installed: pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "growsearch needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/installed
	$(BIN)/growsearch search lipgrow --dataset digits --trials 8 --out $(OUT)

# The tests of a file stay in one process, and share its fixtures. Some wait for processes that they
# start, so there are more workers than cores. A worker that pytest has ended, since a test hung, is
# not started again: its test would hang again.
LANE := $(BIN)/pytest --dist loadfile --no-loadscope-reorder --max-worker-restart 0

test: $(VENV)/installed
	$(LANE) -n 3 -m 'not slow and not long'

test-slow: $(VENV)/installed
	$(LANE) -n 3 -m 'slow and not long'

test-long: $(VENV)/installed
	$(LANE) -n 4 -m long -o faulthandler_timeout=3600

# thirty faults hit a search, but for those that do not begin in time: of all kinds, few of them in the driver, whose
# starts take seconds; as root
chaos: $(VENV)/installed
	$(BIN)/python benchmarks/chaos.py --seed 28423 --kills 30 --seconds 320

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# the documentation site, without a network; a warning is an error
docs: $(VENV)/installed
	$(BIN)/sphinx-build -q -W --keep-going docs build/docs
	@echo build/docs/index.html

# the wheel outside the clone, beside the packages of .venv
wheel-check: $(VENV)/installed
	.ci/wheel $(VENV)

# the wheel for PYTHON with the newest versions of all that it needs: downloads some 6 GB
release-check: $(VENV)/installed
	.ci/wheel $(VENV) $(PYTHON)

benchmark: $(VENV)/installed
	$(BIN)/python benchmarks/trainer.py --quick

clean:
	rm -rf $(VENV)
