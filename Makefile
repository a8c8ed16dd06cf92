# Every target does its own set-up: the environment in .venv, with the pinned packages. Needs Python 3.11+ (with venv) and make.
# `make help` lists the targets.

.DEFAULT_GOAL := help
.SILENT:
.PHONY: help run test lint audit fuzz-api format chaos bench screenshots lock setup setup-dev

PORT ?= 8000
HOST ?= 127.0.0.1
JOBS ?= 1500
FAULTS ?= 60
SEED ?=
MUTANT ?=
KINDS ?=
ROW ?=
BASE ?=
ARGS ?=
CASES ?= 10000
export PORT HOST
unexport PYTHONDONTWRITEBYTECODE  # otherwise each of hundreds of processes would compile the project anew

# The first Python that fits; the newest for which every package has wheels comes first. One without venv is the last
# resort: environment.py then says what to install.
PROBE = 'import sys; sys.exit(sys.version_info < (3, 11))'
PROBE_VENV = 'import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 11))'
SETUP = for probe in $(PROBE_VENV) $(PROBE); do \
	for python in "$$PYTHON" python3.13 python3.12 python3.11 python3.14 python3 python; do \
	[ -n "$$python" ] && "$$python" -c "$$probe" >/dev/null 2>&1 && exec "$$python" -I cnaasjobs/run/environment.py $(1); \
	done; done; echo "No Python 3.11 or newer found on PATH (make $@ PYTHON=/path/to/python3 names one)" >&2; exit 1
BIN = .venv/bin

# Settings for the tools that load Django: as in development, and as in production.
DEV = CNAASJOBS_DEV=1 DATABASE_URL=sqlite://:memory:
PRODUCTION = CNAASJOBS_DEV=0 SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	DATABASE_URL=postgres://cnaasjobs@db/cnaasjobs CELERY_BROKER_URL=amqps://cnaasjobs@mq// ALLOWED_HOSTS=jobs.example.org

help: ## List the targets
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup:
	$(call SETUP,run)

setup-dev:
	$(call SETUP,dev)

run: setup ## Start the platform: web, worker, Beat (PORT=8000 HOST=127.0.0.1 CNAASJOBS_STATE_DIR=state)
	exec $(BIN)/python -m cnaasjobs.run

test: setup-dev ## Run the tests in parallel (ARGS="-k name", "-n 0": one by one; DATABASE_URL, CELERY_BROKER_URL when set)
	exec $(BIN)/python -m pytest -n auto $(ARGS)

lint: setup-dev ## Style, types, import directions, missing migrations, production settings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(DEV) $(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -q -c pyproject.toml -r cnaasjobs jobs locks devices console manage.py gunicorn.conf.py
	$(DEV) $(BIN)/python manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(BIN)/python -W error manage.py check --deploy --fail-level WARNING

audit: setup-dev ## Look for known vulnerabilities in pinned packages (needs the network)
	$(BIN)/pip-audit --strict --disable-pip --no-deps -r constraints.txt

fuzz-api: setup-dev ## Make random API calls, valid and invalid by its description (CASES=10000)
	FUZZ_CASES=$(CASES) exec $(BIN)/python -m pytest -n 0 --timeout 0 -s tests/fuzz

format: setup-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

chaos: setup-dev ## Break things on purpose and count what is lost (JOBS=1500 FAULTS=60 SEED= MUTANT= KINDS=)
	exec $(BIN)/python -m tests.chaos --jobs $(JOBS) --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) $(if $(MUTANT),--mutant "$(MUTANT)") $(if $(KINDS),--kinds "$(KINDS)")

bench: setup-dev ## Measure, and compare with alternatives and the machine's limits (ROW=name, BASE=commit)
	exec $(BIN)/python -m benchmarks $(if $(ROW),--row $(ROW)) $(if $(BASE),--base $(BASE))

screenshots: setup-dev ## Retake the pictures in docs/screenshots (needs Chromium)
	exec $(BIN)/python -m tests.screenshots

lock: setup ## Regenerate constraints.txt after a change of requirements*.txt
	$(BIN)/python -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip install -q -r requirements.txt -r requirements-dev.txt -r requirements-embedded.txt
	{ sed -n '/^#/p' constraints.txt; .venv/lock/bin/python -m pip freeze; } > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt
	rm -r .venv/lock
