# `make demo` and `make test` do all the set-up they need on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.diffad-installed
TORCH := $(shell grep '^torch==' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all lint docs gallery format clean

help:  ## show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  variables: VENV=$(VENV) PYTHON=$(PYTHON)"

venv: $(STAMP)  ## make the virtual environment, with the tested versions

# torch goes first and pinned, so that no other package picks another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,demo,docs]"
	@touch $@

demo: $(STAMP)  ## find synthetic lesions in a whole brain; the picture is demo_out/demo.png
	$(BIN)/diffad demo --out demo_out

test: $(STAMP)  ## run the tests that take seconds, on all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -m "not slow"

test-all: $(STAMP)  ## run every test
	$(BIN)/python -m pytest -q

lint: $(STAMP)  ## check style, spelling, types, which part may import which, and the Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell *.md docs diffad noise samplers configs
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if [ -x $(BIN)/hadolint ]; then $(BIN)/hadolint containers/Dockerfile; else echo "no hadolint: skipped"; fi

docs: $(STAMP)  ## build the user guide into site/, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

gallery: $(STAMP)  ## run the examples of the gallery, and draw their pictures anew
	mkdir -p build/gallery
	cd build/gallery && for script in ../../docs/gallery/*.py; do $(abspath $(BIN))/python $$script || exit 1; done
	cp build/gallery/*.png docs/images/gallery/

format: $(STAMP)  ## rewrite the files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove what was built, and the caches; keeps the virtual environment
	rm -rf build dist site *.egg-info demo_out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
