# `make help` lists the targets. Each makes .venv when it is missing and installs what it needs.

PYTHON ?= python3
# Those that `make test-package` serves a model with, such as "python3.11 python3.13".
SERVING_PYTHONS ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin

# Folder of public tables for the benchmarks and for tests that skip without them.
ifneq ($(wildcard ../shared/data),)
SK_ENTITY_EMBED_DATA ?= $(abspath ../shared/data)
export SK_ENTITY_EMBED_DATA
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: demo test test-oldest test-package lint bench bench-full docs linkcheck examples clean help

demo: $(VENV)/.installed-demo  ## run the example on New York flights
	$(BIN)/python examples/flights.py

test: $(VENV)/.installed-test  ## run the tests and doctests, with the coverage gate
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov --cov-branch $(PYTEST_ARGS)

test-oldest: .venv-oldest/.installed  ## run the tests with the oldest versions allowed
	OMP_NUM_THREADS=1 .venv-oldest/bin/python -m pytest -n 2 $(PYTEST_ARGS)

test-package: $(VENV)/.installed-package  ## build wheel and sdist, try them in clean environments
	$(BIN)/python .ci/check_package.py --serve-with $(SERVING_PYTHONS)

lint: $(VENV)/.installed-lint  ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench  ## compare encoders and whole models on public tables, quickly (minutes)
	$(BIN)/python benchmarks/quality.py --quick
	$(BIN)/python benchmarks/rivals.py --quick
	$(BIN)/python benchmarks/sigrist.py --quick
	$(BIN)/python benchmarks/leakage.py --quick
	$(BIN)/python benchmarks/rossmann.py --quick
	$(BIN)/python benchmarks/stability.py --quick
	$(BIN)/python benchmarks/inspection.py --quick
	$(BIN)/python benchmarks/speed.py --quick
	$(BIN)/python benchmarks/cost.py --quick

bench-full: $(VENV)/.installed-bench  ## run all benchmarks; results in benchmarks/results/ (hours)
	$(BIN)/python benchmarks/leakage.py
	$(BIN)/python benchmarks/transform.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/python benchmarks/quality.py --max-rows 1000 2000 4000
	$(BIN)/python benchmarks/rivals.py
	$(BIN)/python benchmarks/sigrist.py
	$(BIN)/python benchmarks/ablation.py
	$(BIN)/python benchmarks/stability.py
	$(BIN)/python benchmarks/rossmann.py
	$(BIN)/python benchmarks/inspection.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/cost.py

docs: $(VENV)/.installed-docs  ## build the documentation into docs/_build/html
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W -n -j 2 -b html docs docs/_build/html

linkcheck: docs  ## follow the links of the documentation, those to other sites too
	$(BIN)/linkchecker --check-extern --no-status docs/_build/html/index.html

examples: $(VENV)/.installed-examples  ## run every example; pictures in examples/output/
	set -e; for script in examples/[!_]*.py; do \
	    echo "== $$script"; MPLBACKEND=Agg $(BIN)/python "$$script"; \
	done

clean:  ## remove what was built, but not .venv
	rm -rf build dist docs/_build docs/api/generated docs/gallery examples/output htmlcov
	rm -rf .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' \
	    | while IFS='|' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

# One stamp for each dependency group. The constraints file is part of the same pip command as torch,
# which would otherwise bring gigabytes of GPU packages.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/.pip
	$(BIN)/python -m pip install -q -c constraints.txt -e . --group $*
	@touch $@

# MLflow is tested here alone: it takes no pyarrow as new as that in constraints.txt.
.venv-oldest/.installed: pyproject.toml constraints-oldest.txt | .venv-oldest/bin/.pip
	.venv-oldest/bin/python -m pip install -q -c constraints-oldest.txt -e . --group test mlflow
	@touch $@

# The pip that Python brings along may not know dependency groups.
$(BIN)/.pip .venv-oldest/bin/.pip: %/bin/.pip:
	test -x $*/bin/python || $(PYTHON) -m venv $*
	$*/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt 'pip>=25.1'
	@touch $@
