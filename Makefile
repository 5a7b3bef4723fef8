# Everything happens in .venv, with the versions of constraints.txt.
PYTHON ?= python3.11
BIN := .venv/bin
# One thread a process: the models are small, and results repeat.
export OMP_NUM_THREADS := 1
# Tests start hundreds of processes: what is compiled once is kept, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check package soak fuzz load sbom lock locked checks-pages docs browser clean

# Three folds: one test part is 34 independent quarters, too few; differences below 3 % count as none.
demo: .venv/.ready
	mkdir -p demo
	$(BIN)/forecheck audit co2 --lookback 104 --horizon 13 --folds 3 --margin 0.03 --time 60s \
	  --html demo/co2.html --json demo/co2.json
	@$(BIN)/python -c 'import json; print("\nLearnt:", json.load(open("demo/co2.json"))["verdict"]["sentence"])'

# Two processes of one thread; the tests of a file stay together, since they share what is slow to make. If one dies, the
# run ends: xdist may wait for ever for its replacement.
test: .venv/.ready browser
	$(MAKE) -j 2 check package
	$(BIN)/pytest -n 2 --dist loadscope --max-worker-restart 0

check: .venv/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# What would be published: the wheel is built from the sdist, installed alone, and audits a file there.
package: .venv/.ready
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist >/dev/null
	$(BIN)/python scripts/check_wheel.py dist

# Faults: kill -9, full disks, many processes, flipped bits (half an hour); hostile input (a minute a target); load.
soak: .venv/.ready
	$(BIN)/python scripts/soak

fuzz: .venv/.ready
	$(BIN)/python scripts/fuzz

load: .venv/.ready
	$(BIN)/python scripts/load.py

# A software bill of materials of .venv, into sbom.json.
sbom: .venv/.ready
	$(BIN)/python scripts/sbom.py -o sbom.json

# requirements.lock anew, after a change of constraints.txt.
lock: .venv/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/python scripts/lock.py

# .venv anew by hashes: no file that is not in requirements.lock, and no code of a package runs while it is installed.
locked:
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation --editable .
	$(BIN)/pip check
	touch .venv/.ready .venv/.docs

# The page of every check is made from its class; a test compares.
checks-pages: .venv/.ready
	$(BIN)/python -m forecheck.auditing.pages docs/checks

# The site, into site/; any warning fails. The theme's notice is about its own future.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/.docs: .venv/.ready
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

# The HTML report is tested in a real browser; without one (and without the right to install it) those tests skip.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	     && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } \
	|| echo "no Chromium here: the browser tests will be skipped"

clean:
	rm -rf .venv demo dist site .mypy_cache .pytest_cache .ruff_cache
