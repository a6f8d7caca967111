# Everything lives in .venv; from a bare clone each target sets up what it needs.
# Another interpreter: make test PYTHON=/path/to/python3.12

PYTHON ?= $(shell python3.11 -c 'print("python3.11")' 2>/dev/null || echo python3)
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test explore check bench bench-full clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Set up .venv with factorflow and what its tests need

demo: $(VENV)/.installed ## Run the demonstration
	$(BIN)/factorflow demo

test: $(VENV)/.installed ## Run the tests, the linter and the check of the imports
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

explore: $(VENV)/.installed ## Run the tests on new random examples, where "test" repeats the same
	FACTORFLOW_EXAMPLES=new $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.installed-dev ## Run every check of the source: lint, format, types, imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.installed-peers ## Measure against the peers, in quick sizes
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/.installed-peers ## Measure against the peers, in full sizes
	$(BIN)/python -m benchmarks --full

clean: ## Remove .venv and all caches
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache .import_linter_cache dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "factorflow needs Python 3.11 or newer, and '$(PYTHON)' is not;" \
	    "name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# PyTorch alone is gigabytes, and some peers need a C compiler: without them their rows are missing.
$(VENV)/.installed-peers: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[peers]' \
	  || echo "not all peers could be installed: their rows will be missing" >&2
	@touch $@
