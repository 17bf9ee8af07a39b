# What a person types. Every target sets up what it needs (scripts/setup.sh), so any of them may come first.

CONFIG  ?= experiments/configs/first.json
RUN     ?= runs/$(basename $(notdir $(CONFIG)))
ARGS    ?=
LOGDIR  ?= runs
PORT    ?= 6006
DATA    ?=
BEFORE  ?=
FUZZ_SECONDS ?= 600
STEPS   ?= 200000

SHELL := /bin/bash
export PATH := $(PATH):$(HOME)/.cargo/bin
# Another project's libtorch must not become this one's: the link .libtorch says which it is.
unexport LIBTORCH LIBTORCH_LIB LIBTORCH_INCLUDE LIBTORCH_USE_PYTORCH LIBTORCH_STATIC
.NOTPARALLEL:
.PHONY: help setup ready train test lint tensorboard fetch-data check-cuda check-ranks check-faults check-soak check-slurm check-sweep check-unchanged
.PHONY: bench bench-cuda fuzz check-advisories doc clean distclean

help: ## List these targets
	@echo "make TARGET [NAME=value …]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 16

ready:
	@scripts/setup.sh

setup: ## Fetch libtorch and TensorBoard into .venv, or check every file of them (ELBO_LIBTORCH=cpu|cuda|FOLDER)
	@scripts/setup.sh --verify

train: ready ## Train, or go on with a run: CONFIG=FILE, RUN=FOLDER, ARGS='--set train.steps=4000'
	@cargo build --release -p elbo-experiments --bins
	@cargo run --quiet --release -p elbo-experiments --bin train -- $(CONFIG) --run-dir $(RUN) --resume $(ARGS)

test: ready ## Run all tests; ARGS='-p elbo-core' for some
	@scripts/test.sh $(ARGS)

lint: ready ## Check format, clippy, documentation, scripts, order of the crates
	@scripts/lint.sh

tensorboard: ready ## Show curves and pictures on http://127.0.0.1:6006: LOGDIR=FOLDER, PORT=NUMBER
	@[ -d $(LOGDIR) ] || { echo "error: $(LOGDIR): no such folder (make train makes runs/first)" >&2; exit 2; }
	@echo "TensorBoard of $(LOGDIR): http://127.0.0.1:$(PORT) (Ctrl-C ends it)"
	@.venv/bin/python -m tensorboard.main --logdir $(LOGDIR) --host 127.0.0.1 --port $(PORT)

fetch-data: ## Fetch a data set into data/: DATA=mnist or DATA=fashion-mnist
	@scripts/fetch-data.sh $(DATA)

check-cuda: ## Compare training on the GPU with training on the CPU; needs an NVIDIA GPU
	@scripts/check_cuda.sh

check-faults: ready ## Kill, fill, damage, starve: does anything that was saved get lost? ARGS=FAULT for one of them (ten minutes)
	@scripts/check_faults.sh $(ARGS)

check-soak: ready ## Watch memory, speed and event files over STEPS=200000 steps (five minutes)
	@cargo build --release -p elbo-experiments --bins
	@LD_LIBRARY_PATH=$(CURDIR)/.libtorch/lib .venv/bin/python scripts/check_soak.py target/release/train $(STEPS)

check-ranks: ready ## Compare several processes with one, under the launchers that are here (shell loop, torchrun, mpirun, srun)
	@scripts/check_ranks.sh

check-slurm: ## Run a 4-member sweep as a job array of a real Slurm on loopback; root on Debian
	@scripts/check_slurm.sh

check-unchanged: ready ## Compare 500 steps of every kind of method with those of BEFORE=COMMIT
	@scripts/check_unchanged.sh "$(BEFORE)" $(ARGS)

check-sweep: ## Run a 24-member sweep, kill it three times on its way, and count what is left
	@scripts/check_sweep.sh

bench: ready ## Time training steps beside the same steps in PyTorch, in turn (ELBO_TORCH_PYTHON=python with torch; ARGS=--alone without)
	@cargo build --release -p elbo-experiments --bin bench --bin train
	@.venv/bin/python scripts/bench.py target/release/bench $(ARGS)

bench-cuda: ready ## The same on an NVIDIA GPU
	@cargo build --release -p elbo-experiments --bin bench --bin train
	@.venv/bin/python scripts/bench.py target/release/bench --device cuda --steps 200 $(ARGS)

fuzz: ready ## Throw bytes at every reader for FUZZ_SECONDS=600 each, two at a time; ARGS=TARGET for some
	@scripts/fuzz.sh $(FUZZ_SECONDS) $(ARGS)

check-advisories: ## Hold the dependencies against the RustSec advisories; needs the network
	@scripts/tools.sh cargo-deny
	@.tools/bin/cargo-deny --locked check advisories

doc: ready ## Build the documentation of all crates
	@cargo doc --workspace --no-deps
	@echo "$(CURDIR)/target/doc/elbo_core/index.html"

clean: ## Remove what cargo built; runs and data stay
	@cargo clean

distclean: clean ## Remove what set-up fetched, too
	@rm -rf .venv .libtorch .setup .tools fuzz/corpus fuzz/artifacts
