# make demo: the main job, end to end.   make test: the tests.   Both set everything up by themselves.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/
READY = $(VENV)/.ready

.PHONY: demo test chaos ensembles lint setup clean
setup: $(READY)

# constraints.txt pins PyTorch: asked for as a range, pip may take a build of several GB.
$(READY): setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say which with make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(RUN)pip install --quiet -c constraints.txt -e ".[mpi,test]"
	@touch $@

demo: $(READY)
	$(RUN)python examples/01_demo/demo.py

# Files of tests side by side on two cores, but for those that measure the processor's time. A look at one: .venv/bin/python -m pytest tests/...
ALONE = tests/chaos/test_bad_cells.py
test: $(READY)
	$(RUN)python -m pytest -n 2 --dist loadfile --ignore $(ALONE)
	$(RUN)python -m pytest $(ALONE)

# What a cluster does to a simulation, in full (about 10 minutes); `make test` has its short form.
chaos: $(READY)
	NRN_MLFIT_CHAOS=1 $(RUN)python -m pytest tests/chaos tests/cli/test_your_own_cell.py

# The ensembles that come with the package, anew: an hour or two, in pieces; what is there in ENSEMBLES is not done again.
ENSEMBLES ?= ensembles
ensembles: $(READY)
	$(RUN)python benchmarks/ensembles.py --work $(ENSEMBLES)

lint: $(READY)
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy

clean:
	rm -rf build dist *.egg-info demo
