# `make demo` or `make test` works on a fresh clone: the first target that runs creates .venv and installs everything.
#
#   PYTHON  Python (>= 3.10) for .venv, e.g. make test PYTHON=python3.12
#   TORCH   arguments of `pip install` for torch, which is then installed first, e.g. for machines without a GPU
#           make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
#   WHEELS  folder that `make wheels` filled on another machine; packages are installed from it, without the internet
#   ARGS    further arguments of pytest, e.g. make test ARGS="tests/shards -x"

PYTHON ?= python3
TORCH ?=
WHEELS ?=
ARGS ?=

# Absolute and in the environment, because pip builds packages in temporary folders and in subprocesses.
ifneq ($(strip $(WHEELS)),)
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(abspath $(WHEELS))
endif
VENV := .venv
INSTALLED := $(VENV)/installed
# Most tests wait for processes that they started, so one and a half workers a core keep the cores busy.
WORKERS ?= $(shell n=$$(( ($$(nproc) * 3 + 1) / 2 )); echo $$(( n < 12 ? n : 12 )))
# Programs start ninja and accelerate by name.
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/python
STOP = { echo "$(1)" >&2; exit 1; }

.PHONY: help setup demo test test-slow lint docs bench wheels clean

help:
	@echo "make demo       run the whole pipeline on synthetic text, about eight minutes; the report is in work/demo/report"
	@echo "make test       run the fast tests, about five minutes"
	@echo "make test-slow  run the slow tests"
	@echo "make lint       run ruff"
	@echo "make docs       write docs/settings.md and docs/map.md from the code"
	@echo "make bench      run the benchmarks"
	@echo "make setup      create .venv and install everything, nothing else"
	@echo "make wheels     save all packages in wheels/; on a machine without internet: make setup WHEELS=wheels"
	@echo "make clean      remove .venv and caches; work/ stays"

setup: $(INSTALLED)

demo: $(INSTALLED)
	$(RUN) launch/pipeline.py launch/recipes/demo.yaml --work work/demo
	@echo "Report: $(CURDIR)/work/demo/report/index.html"

test: $(INSTALLED)
	$(RUN) -m pytest --numprocesses $(WORKERS) --dist worksteal -m "not slow" $(ARGS)

test-slow: $(INSTALLED)
	$(RUN) -m pytest --numprocesses $(WORKERS) --dist worksteal -m slow $(ARGS)

lint: $(INSTALLED)
	$(RUN) -m ruff check .

docs: $(INSTALLED)
	$(RUN) docs/generate.py

bench: $(INSTALLED)
	set -e; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(RUN) "$$file"; done

# All packages of .venv, for machines with the same Python version and processor type; source packages are built here.
wheels: $(INSTALLED)
	$(VENV)/bin/python -m pip freeze --exclude-editable > $(VENV)/frozen.txt
	grep -v '^torch[= ]' $(VENV)/frozen.txt | \
	    $(VENV)/bin/python -m pip wheel --no-deps --wheel-dir wheels pip setuptools wheel -r /dev/stdin
	$(VENV)/bin/python -m pip wheel --no-deps --wheel-dir wheels $(or $(TORCH),"$$(grep '^torch[= ]' $(VENV)/frozen.txt)")

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './work/*' -prune -exec rm -rf {} +

# Check for everything that is needed before anything is downloaded. Python.h and a C++ compiler are for DeepSpeed,
# which compiles its shared-memory operator when training starts for the first time.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@command -v "$(PYTHON)" > /dev/null || \
	    $(call STOP,There is no $(PYTHON): apt-get install python3 python3-venv python3-dev)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    $(call STOP,Python >= 3.10 is needed but $(PYTHON) is older: apt-get install python3.11 python3.11-venv python3.11-dev; then run make PYTHON=python3.11)
	@"$(PYTHON)" -c 'import ensurepip, venv' 2> /dev/null || \
	    $(call STOP,$(PYTHON) cannot make virtual environments: apt-get install python3-venv)
	@"$(PYTHON)" -c 'import os, sysconfig; open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2> /dev/null || \
	    $(call STOP,The headers of $(PYTHON) are missing: apt-get install python3-dev)
	@command -v "$${CXX:-c++}" > /dev/null || \
	    $(call STOP,There is no C++ compiler ($${CXX:-c++}): apt-get install g++)
	@"$(VENV)/bin/python" -m pip --version > /dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@echo "Installing into $(VENV), once; this takes a few minutes"
ifeq ($(strip $(TORCH)),)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -e '.[test,lint]' -c constraints.txt
else
	$(VENV)/bin/python -m pip install --disable-pip-version-check $(TORCH)
	grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
	$(VENV)/bin/python -m pip install --disable-pip-version-check -e '.[test,lint]' -c $(VENV)/constraints.txt
endif
	@touch $@
