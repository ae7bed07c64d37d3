# make demo    environment, install, weights, the main job on real photographs, path of a report
# make test    the whole suite            make check  format, lint, types, spelling, import arrows
# make bench   the tables of docs/benchmarks.md, galleries of cst in bench/galleries (hours; needs ../shared; CHECKPOINT=FILE of cst, VTM=FILE of vtm)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo test check fix bench docs clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: install
	$(BIN)/likewise demo --out demo

# one thread of OpenBLAS for each of both workers: with several it was seen once to wait for itself without end
test: install
	$(BIN)/likewise weights pull dinov2-reg-small-sphere || echo "weights could not be had: tests that need them skip"
	OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90
	$(MAKE) check

check: install
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs benchmarks README.md CHANGELOG.md CONTRIBUTING.md

fix: install
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

bench: install
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/hindsight.py
	$(BIN)/python benchmarks/absence.py
	$(BIN)/python benchmarks/riskcoverage.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/endurance.py
	$(BIN)/python benchmarks/pictures.py
	$(BIN)/python benchmarks/galleries.py $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT))
	$(BIN)/python benchmarks/targets.py $(if $(VTM),--method analogy ridge nearest vtm vtm:matching=global --checkpoint $(VTM)) --docs
	$(BIN)/python benchmarks/target_curves.py
	$(BIN)/python benchmarks/target_pictures.py $(if $(VTM),--method analogy vtm --checkpoint $(VTM))
	$(BIN)/python benchmarks/matching.py
	$(BIN)/python benchmarks/tables_matching.py
	$(BIN)/python benchmarks/matching_pictures.py
	$(BIN)/python benchmarks/arena.py
	$(BIN)/python benchmarks/write_docs.py

docs: install
	$(BIN)/pytest -q -n 0 tests/docs

clean:
	rm -rf $(VENV) demo bench
