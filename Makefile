PYTHON ?= python3
BIN := .venv/bin
WORKERS := --numprocesses=auto --maxprocesses=4 --dist=worksteal
DEMO := -m experiments.diffusion_encoder --config=configs/diffusion_encoder/demo.py

# Modules are compiled when they are first imported, which costs a fifth of compiling all that is
# installed. For that their compiled form has to be kept.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-short test test-slow bench lint clean

demo: .venv/stamp
	$(BIN)/python $(DEMO) --workdir=runs/demo $(ARGS)

demo-short: .venv/stamp
	$(BIN)/python $(DEMO) --config.num_updates=200 --config.eval.num_examples=200 --config.eval.num_samples=4 --config.eval.grid_draws=4 --workdir=runs/demo-short $(ARGS)

test: .venv/stamp
	$(BIN)/python -m pytest -q $(WORKERS) $(ARGS)

test-slow: .venv/stamp
	$(BIN)/python -m pytest -q -m slow $(WORKERS) $(ARGS)

bench: .venv/stamp
	$(BIN)/python -m experiments.benchmarks --config=configs/benchmarks/table.py --workdir=runs/benchmarks $(ARGS)

lint: .venv/stamp
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist *.egg-info .cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "$(PYTHON) is missing or older than 3.11: make PYTHON=/path/to/python3.11 (or newer)" >&2; exit 1; }
	@echo "setting up .venv with $(PYTHON), about a minute"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -e '.[test]'
	@touch $@
