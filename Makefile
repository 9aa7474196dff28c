# The whole developer interface. Needs Python >= 3.11 and make; everything else lands in .venv.
PYTHON ?= python3
CONFIG ?= config.yaml
BIN := .venv/bin
PACKAGES := foundation federation views inbox outbox service

.PHONY: run demo test test-browser check lint format bench fuzz lock clean

run: .venv/.runtime         ## start the service on $(CONFIG)
	@$(BIN)/fediviews serve --config $(CONFIG)

demo: .venv/.runtime        ## three instances on loopback, simulated viewers, one number
	@$(BIN)/fediviews demo $(DEMO)

test: .venv/.dev            ## every test that needs no browser
	$(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/browser --ignore tests/shells $(ARGS)

test-browser: .venv/.dev    ## pages in Debian's Chromium, completion in zsh and fish; fails where one is missing
	$(BIN)/python -m pytest tests/browser tests/shells $(ARGS)

check: lint test            ## what has to be clean before a change lands

lint: .venv/.dev            ## format, ruff, types, import law
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev           ## ratios measured in one run, never part of the tests
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: .venv/.fuzz           ## look for inputs that a parser cannot take: SECONDS=60 for each TARGET (default: all)
	$(BIN)/python tests/fuzz/run.py $(TARGET) --seconds $(or $(SECONDS),60)

.venv: .venv/.runtime

.venv/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing what requirements.lock pins into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "installing what requirements-dev.lock pins into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

.venv/.fuzz: .venv/.dev requirements-fuzz.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-fuzz.lock
	@touch $@

lock: .venv/.dev            ## resolve the pins again (uv is used when it is there)
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 -q -o requirements.lock pyproject.toml
	uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --extra dev -q -o requirements-dev.lock pyproject.toml

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .import_linter_cache
