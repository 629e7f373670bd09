# Needs Python 3.11 or newer and make; everything else is installed into ./.venv. The newest of these
# Pythons is taken; for another, make install PYTHON=/path/to/python.
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(call recent,$(name))))
recent = $(if $(1),$(shell \
  $(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(1)))
whole = $(shell $(1) -c 'import ensurepip, venv' 2>/dev/null && echo $(1))
other = or name another: make install PYTHON=/path/to/python
python = $(or $(call recent,$(PYTHON)),$(error \
  $(if $(PYTHON),$(PYTHON) is not,nothing on PATH is) Python 3.11 or newer; install it, $(other)))
python_with_venv = $(or $(call whole,$(python)),$(error \
  $(python) has no venv; install it (Debian: apt install $(notdir $(python))-venv), $(other)))
BIN := .venv/bin
RUN := runs/quickstart
PYTEST := $(BIN)/python -m pytest -n 2 --dist=loadfile --no-loadscope-reorder
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: install quickstart test test-slow test-browser mutations lint format tables bench bench-rivals \
  bench-check notebooks docs clean

install: .venv/installed

.venv/installed: requirements.txt pyproject.toml
	$(python_with_venv) -m venv .venv
	@$(BIN)/python --version
	$(BIN)/pip install --quiet -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

quickstart: install
	$(BIN)/hop train --config=configs/burgers_time.py:quickstart --workdir=$(RUN)
	$(BIN)/python examples/new_functions.py --field=periodic --count=200 --output=$(RUN)/u0.npy
	$(BIN)/hop infer --checkpoint=$(RUN) --eps=0.01 --input=$(RUN)/u0.npy --output=$(RUN)/u.npy \
	  --plot=$(RUN)/u.gif
	$(BIN)/python examples/quickstart.py --workdir=$(RUN)

test: install
	HOP_TEST_DEVICES=1 $(PYTEST) -m "not slow and not devices"
	$(PYTEST) -m "devices and not slow"

test-slow: install
	$(BIN)/python -m pytest -n 2 -m slow

# the page docs/play.md in Chromium, which must be on PATH, or CHROMIUM=/path/to/it
test-browser: install
	$(BIN)/pip install --quiet --constraint requirements.txt playwright
	$(BIN)/python -m pytest -m slow -rs tests/system/test_play_in_browser.py

# whether the tests notice changes for the worse, made one at a time
mutations: install
	$(BIN)/python tests/system/mutations.py -j 2

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# the paper's tables and figures, and some more, onto docs/results
tables: install
	$(BIN)/python -m reproduce

bench: tables
	$(BIN)/python benchmarks/laplacian.py
	$(BIN)/python benchmarks/least_squares.py --output=docs/results
	$(BIN)/python benchmarks/roofline.py --output=docs/results
	$(MAKE) bench-rivals

# hop's training step beside that of other codes, which live in ./.venv-rivals (half an hour)
bench-rivals: install .venv-rivals/installed
	$(BIN)/python benchmarks/rivals.py --output=docs/results
	$(BIN)/python benchmarks/time_to_accuracy.py --output=docs/results

# --retries: an index that cannot be reached is given up soon
.venv-rivals/installed: benchmarks/rivals/requirements.txt
	$(python_with_venv) -m venv .venv-rivals
	.venv-rivals/bin/pip install --quiet --no-deps --retries=1 -r $<
	@touch $@

bench-check: install
	$(BIN)/python benchmarks/check_speed.py

docs: install
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

notebooks: install
	$(BIN)/python examples/notebooks.py

clean:
	rm -rf .venv .venv-rivals runs docs/_build
