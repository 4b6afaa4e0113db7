# The front door. `make` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
CONFIG ?= configs/demo.yaml
RUNS ?= runs
RUNNER ?= venv
TARGET ?= local
PORT ?= 8080
SET ?=
WORKERS ?= auto
BENCH ?=
SIZES ?= 5000 50000 500000

IMAGES := pipelines data recordio trainer aws
overrides := $(foreach item,$(SET),--set $(item))
config_is_there = @test -f "$(CONFIG)" || { echo "no config '$(CONFIG)'; try: make $@ CONFIG=configs/demo.yaml"; exit 2; }

# uv installs each environment; its cache stays inside the clone, so files are shared by links.
export UV_CACHE_DIR := $(CURDIR)/.venvs/.cache
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export UV_COMPILE_BYTECODE := 1
uv := .venvs/uv/bin/uv

##@ Start here
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables: CONFIG=%s SET="train.epochs=3 …" RUNS=%s RUNNER=venv|docker TARGET=local|kubeflow PORT=%s REGISTRY=\n' "$(CONFIG)" "$(RUNS)" "$(PORT)"

setup: $(IMAGES:%=.venvs/%/.complete) ## Build one virtual environment for each image

demo: setup ## Run the whole pipeline on drawn images, in under five minutes
	./sightline run configs/demo.yaml --runs $(RUNS) --require-pass

##@ Work on a project
check: setup ## Check CONFIG and show every setting
	$(config_is_there)
	./sightline check $(CONFIG) $(overrides)

compile: setup ## Compile CONFIG's pipeline to IR YAML for TARGET
	$(config_is_there)
	./sightline compile $(CONFIG) --target $(TARGET) $(overrides)

run: setup ## Run CONFIG's pipeline on this machine
	$(config_is_there)
	./sightline run $(CONFIG) --runs $(RUNS) --runner $(RUNNER) $(overrides)

report: setup ## Print where CONFIG's newest evaluation report is
	$(config_is_there)
	./sightline report $(CONFIG) --runs $(RUNS)

serve: setup ## Serve CONFIG's newest model on PORT
	$(config_is_there)
	./sightline serve $(CONFIG) --runs $(RUNS) --port $(PORT)

runs: setup ## List runs with outcome and metrics
	./sightline runs $(RUNS)

images: setup ## Build the container images that changed (needs Docker)
	.venvs/pipelines/bin/python -m pipelines.build $(foreach item,$(REGISTRY),--registry $(item))

##@ Work on Sightline
# Each part is tested in the environment of the image that it runs in.
test-pipelines := tests/pipelines
test-data := $(addprefix tests/components/,ingest validate explore split)
test-recordio := $(addprefix tests/components/,im2rec shared/test_recordio.py)
test-trainer := $(addprefix tests/components/,augment tune train predict evaluate deploy shared)
test-aws := tests/components/register

test: setup $(IMAGES:%=test-in-%) ## Run all tests

# One thread a process: the workers share the cores, and OpenMP's threads wait for each other.
test-in-%: .venvs/%/.complete
	@echo "== tests in the environment '$*'"
	OMP_NUM_THREADS=1 .venvs/$*/bin/python -m pytest -n $(WORKERS) --dist loadfile $(test-$*) $(and $(filter trainer,$*),--ignore tests/components/shared/test_recordio.py)

lint: setup .venvs/dev/.complete ## Check style and types
	.venvs/dev/bin/ruff check .
	.venvs/dev/bin/ruff format --check .
	$(call types,pipelines,pipelines $(test-pipelines) tests/conftest.py)
	$(call types,data,$(addprefix components/,ingest validate explore split) $(test-data))
	$(call types,recordio,components/im2rec components/shared/recordio.py $(test-recordio))
	$(call types,trainer,$(addprefix components/,augment tune train predict evaluate deploy shared) $(test-trainer))
	$(call types,aws,components/register $(test-aws))
	$(call types,recordio,$(addprefix tests/benchmarks/,alternate.py worker.py drawn.py packing.py data.py))
	$(call types,trainer,tests/benchmarks/reading.py)
	$(call types,data,tests/benchmarks/scale.py)

types = .venvs/dev/bin/mypy --python-executable .venvs/$(1)/bin/python --cache-dir .mypy_cache/$(1) --follow-imports silent $(2)

bench-data: setup ## Compare data steps with peers (BENCH="--rounds 2", SIZES="5000 50000")
	.venvs/pipelines/bin/python -m tests.benchmarks.data $(BENCH)
	.venvs/data/bin/python -m tests.benchmarks.scale --images $(SIZES) --work build/scale

format: .venvs/dev/.complete ## Format the code
	.venvs/dev/bin/ruff format .
	.venvs/dev/bin/ruff check --fix .

lock: $(uv) ## Pin what images/*/requirements.in ask for
	@for image in $(IMAGES) dev; do \
		echo "$$image"; \
		$(lock-one) images/$$image/requirements.in -o images/$$image/requirements.txt; \
		[ "$$image" = dev ] && continue; \
		asked=images/$$image/test.in; [ -f "$$asked" ] || asked=images/test.in; \
		$(lock-one) "$$asked" -c images/$$image/requirements.txt -o images/$$image/requirements-test.txt; \
	done
	$(lock-one) --no-deps images/kfp.in -o images/kfp.txt
	$(lock-one) images/uv.in -o images/uv.txt

# No index address in the answer: whoever installs uses their own.
lock-one = $(uv) pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

clean: ## Remove environments and caches, but no run
	rm -rf .venvs .mypy_cache .pytest_cache .ruff_cache build

# --- environments -----------------------------------------------------------------------
$(uv): images/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on PATH; install Python 3.11 or give its path: make setup PYTHON=…"; exit 2; }
	$(PYTHON) -m venv --clear .venvs/uv
	.venvs/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r images/uv.txt
	@touch $@

# A step's image holds kfp's executor without kfp's dependencies; the orchestrator holds all.
# The stamp keeps a digest: a file that is only newer (another branch and back) rebuilds nothing.
# The lock: two runs that start at once must not build the same environment.
.SECONDEXPANSION:
.venvs/%/.complete: $$(wildcard images/%/requirements*.txt) images/kfp.txt $(uv)
	@exec 9>.venvs/.lock && flock 9 && \
	wanted=$$(cat images/$*/requirements*.txt images/kfp.txt | sha256sum) && \
	if [ "$$(cat $@ 2>/dev/null)" = "$$wanted" ]; then touch $@; exit 0; fi && \
	echo "setting up the environment '$*'" && \
	rm -f $@ && \
	$(uv) venv --quiet --clear --python $(PYTHON) .venvs/$* && \
	for file in images/$*/requirements*.txt; do \
		$(uv) pip install --quiet --python .venvs/$* --require-hashes -r $$file; done && \
	case $* in pipelines|dev) ;; *) \
		$(uv) pip install --quiet --python .venvs/$* --no-deps --require-hashes -r images/kfp.txt;; \
	esac && \
	echo "$$wanted" > $@

.PHONY: help setup demo check compile run report serve runs images test lint bench-data format lock clean
.PRECIOUS: .venvs/%/.complete
