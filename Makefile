# `make run` and `make test` each work on a fresh machine with Python 3.10 or later, make and git.
# Variables: PYTHON (the interpreter), COHORT, CHECK, NB, FLAGS; `make help` says where they matter.

PYTHON ?= python3
BIN    := .venv/bin
KEYS   := $(shell $(PYTHON) .ci/key.py 2>/dev/null)
BASE   := $(wordlist 3,99,$(KEYS))
PLACE  := .venv/.ready-$(word 1,$(KEYS))
READY  := $(PLACE)-$(word 2,$(KEYS))
CHROMIUM ?= $(firstword $(foreach c,chromium chromium-browser google-chrome chrome,$(shell command -v $(c) 2>/dev/null)))
AVX512 := AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL
# one thread and the instructions that all x86 processors have; what is stored is computed by PyTorch besides, to be the same
# on each of them, while the tests take the engine that users get
ONE    := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES='$(AVX512)' \
          MKL_ENABLE_INSTRUCTIONS=AVX2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
STORED := LYMPHO_ENGINE=torch $(ONE)

.DEFAULT_GOAL := help
.PHONY: help setup run test faults results gpu bench docs quarto site-check browser lab export readme refresh registry hooks \
        lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make or update the environment in .venv; the other targets do it by themselves

# The name of $(READY) holds digests of the place (interpreter, folder) and of the files that say what to install.
# It is written last: an environment without it was never finished and is made anew, as is one of another place.
$(READY):
	@$(PYTHON) .ci/key.py >/dev/null
	@ls $(PLACE)-* >/dev/null 2>&1 || { rm -rf .venv && "$(BASE)" -m venv .venv; }
	@rm -f .venv/.ready-*
	@echo "Installing the tested set of packages into .venv (the first time it takes minutes and several GB)"
	@$(BIN)/python -m pip -qq --disable-pip-version-check install -c constraints.txt -e '.[dev]'
	@touch $@

run: $(READY) ## run `lympho demo`; COHORT=folder takes that cohort instead of a synthetic one
	@$(BIN)/lympho demo $(if $(COHORT),--cohort '$(COHORT)')

test: $(READY) ## run every check; CHECK='drift ruff' just these, FLAGS='slow data' the flagged cells too
	@$(ONE) $(BIN)/python .ci/checks.py --flags '$(FLAGS)' $(CHECK)

faults: $(READY) ## try the program with what should not be: damaged files, kills, full disks; FLAGS=--short a few of them
	@$(BIN)/python .ci/faults/run.py $(FLAGS) $(NAME)

results: $(READY) ## make every table in results/ again from COHORT=folder and compare; hours, goes on where it stopped
	@$(STORED) LYMPHO_DATA='$(abspath $(or $(COHORT),$(error name the cohort: make results COHORT=folder)))' $(BIN)/python .ci/results.py $(NB)

gpu: $(READY) ## run all that needs a GPU on COHORT=folder: flagged cells, the benchmark, end-to-end recipes
	@$(BIN)/python .ci/gpu.py '$(abspath $(or $(COHORT),$(error name the cohort: make gpu COHORT=folder)))'

bench: $(READY) ## time each step beside what others use for it, into results/speed.csv; COHORT=folder takes that cohort
	@$(BIN)/python -m pip -q --disable-pip-version-check install -c constraints.txt '.[bench]'
	@OMP_NUM_THREADS=1 $(BIN)/lympho bench --out results/speed.csv $(if $(COHORT),--cohort '$(COHORT)')

docs: quarto $(READY) readme ## render the site into _docs, with a published report; needs Quarto
	@$(STORED) $(BIN)/python .ci/docs.py

quarto:
	@command -v quarto >/dev/null || { echo "make docs needs Quarto on the PATH (quarto.org); make test checks the pages without it" >&2; exit 1; }

site-check: browser ## visit every page of the site in a browser; renders it first if _docs is not there; needs Chromium and npm
	@test -d _docs || $(MAKE) --no-print-directory docs
	@test -d .cache/site/node_modules || npm install --silent --no-fund --no-audit --prefix .cache/site playwright-core@1.65.1 axe-core@4.14.1
	@CHROMIUM="$(CHROMIUM)" node .ci/site.mjs _docs

browser:
	@test -n "$(CHROMIUM)" || { echo "make site-check needs Chromium or Chrome on the PATH, or CHROMIUM=path" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "make site-check needs Node.js with npm on the PATH (nodejs.org)" >&2; exit 1; }

lab: $(READY) ## open the notebooks in JupyterLab; saving cleans them
	@$(BIN)/jupyter lab --config=.ci/jupyter_config.py nbs

export: $(READY) ## write lympho/*.py from the notebooks, and clean these
	@$(BIN)/nbdev_clean && $(BIN)/nbdev_export

readme: $(READY) ## write README.md and nbs/nbdev.yml from nbs/index.ipynb and settings.ini
	@$(BIN)/python .ci/pages.py

refresh: $(READY) ## run NB=nbs/x.ipynb and store its outputs; FLAGS='data' runs the flagged cells too
	@$(STORED) $(BIN)/python .ci/refresh.py --flags '$(FLAGS)' $(or $(NB),$(error name the notebooks: make refresh NB=nbs/x.ipynb))

registry: $(READY) ## refresh the stored outputs that list poolings, encoders, fusions or recipes, and the README
	@$(STORED) $(BIN)/python .ci/refresh.py nbs/35_recipes.ipynb nbs/44_interpret.ipynb nbs/index.ipynb && $(BIN)/python .ci/pages.py

hooks: ## let git merge notebooks cell by cell, in this clone
	@git config --local include.path ../.gitconfig

lock: ## resolve settings.ini into constraints.txt; FLAGS=--upgrade takes newer versions
	@$(PYTHON) -m venv .cache/lock && .cache/lock/bin/python -m pip --quiet install uv
	@.cache/lock/bin/uv pip compile --quiet --universal --python-version 3.10 --fork-strategy fewest --no-python-downloads \
	  --no-annotate --custom-compile-command 'make lock' --extra dev $(FLAGS) setup.py -o constraints.txt

clean: ## remove the environment, caches and built pages; runs and cohorts stay
	@rm -rf .venv .cache .ruff_cache _docs _proc build dist *.egg-info
