# Habits. `make check` is what must pass before a change is shared.
.PHONY: help setup test slow coverage lint format types docs bench bench-short check

help:           ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s%s\n", $$1, $$2 }' Makefile

setup:          ## a fresh environment with everything a developer needs
	python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

test:           ## the suite, without what takes minutes
	.venv/bin/python -m pytest

slow:           ## coverage simulations and other long tests
	.venv/bin/python -m pytest -m slow

coverage:       ## the suite, and which lines and branches it leaves out
	.venv/bin/python -m pytest --cov

lint:           ## style: ruff's rules and its format
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format:         ## put right what ruff can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types:          ## types, by mypy
	.venv/bin/mypy

docs:           ## the site, into build/site: its pages run, and warnings are errors (needs the extras docs and torch)
	rm -rf build/cells
	PATH=$(CURDIR)/.venv/bin:$$PATH .venv/bin/sphinx-build -W --keep-going -b html docs build/site

bench:          ## every table of benchmarks/README.md anew, in an hour or two (CIFAR10H=FILE for the audit of its votes)
	.venv/bin/python benchmarks/tables.py

BEFORE ?= origin/main
bench-short:    ## is anything a third slower than the revision BEFORE? two minutes
	.venv/bin/python benchmarks/guard.py --before $(BEFORE)

check: lint types test  ## what must pass before a change is shared
