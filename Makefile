# Habits. `make check` is what must pass before a change is shared.
.PHONY: setup test slow lint format types check

setup:          ## a fresh environment with everything a developer needs
	python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'

test:           ## the suite, without what takes minutes
	.venv/bin/python -m pytest

slow:           ## coverage simulations and other long tests
	.venv/bin/python -m pytest -m slow

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

types:
	.venv/bin/mypy

check: lint types test
