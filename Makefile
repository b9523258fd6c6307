# Offhook: everything a developer or an administrator types. `make help` lists it.
#
# All targets install what they need: Debian packages (as root, or with sudo), PJSIP (built once, then cached),
# a virtual environment in .venv, and Offhook in it.

PYTHON := /usr/bin/python3
VENV := .venv
SANITIZED := build/sanitized-venv
BIN := $(VENV)/bin
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
CONFIG ?=
CALLS ?=
SECONDS ?=
SEED ?=
SANITIZE ?=
UNCHECKED ?=
EXTRAS ?=
BASE ?= HEAD

BASE_PACKAGES := python3 python3-venv python3-dev g++ pkg-config libsystemd-dev
ENGINE_SOURCES := $(wildcard media/engine/*.cpp media/engine/*.hpp) media/engine/CMakeLists.txt
PJSIP_SOURCES := $(shell find media/pjsip -type f -not -name '*.pyc')
# Whole calls promise milliseconds: a virtual machine that stands still for fifty breaks them. What fails twice has failed,
# and what failed once is named at the end. Tests in virtual time have no such excuse, and are not run again.
PYTEST = $(BIN)/pytest -q -rR
RERUNS := --reruns 1
PYTHON_TREES := gateway media bench tests
# Whatever a registry offers today, what was tested is what is installed. Read by pip wherever it runs below; as a URL,
# since pip takes a space in a path for the end of it.
SPACE := $(subst ,, )
export PIP_CONSTRAINT := file://$(subst $(SPACE),%20,$(subst %,%25,$(CURDIR)))/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# An environment for a Python that an upgrade of Debian took away, or from before this directory was moved, works no more.
STALE := $(shell test -d $(VENV)/lib/$(notdir $(realpath $(PYTHON))) && grep -qF '$(CURDIR)/$(VENV)' $(VENV)/pyvenv.cfg || echo stale)

PACKAGES := systemd/packages.sh
FIRST_SUITE := bookworm

.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

.PHONY: run
run: $(VENV)/installed ## Start the gateway (CONFIG=file.yaml; without it, on loopback with agents that need no key; EXTRAS=network,silero)
	@$(if $(EXTRAS),needed=$$($(BIN)/python systemd/extras.py $(EXTRAS)) && $(BIN)/pip install -q $$needed)
	@exec $(BIN)/offhook run $(if $(CONFIG),--config $(CONFIG))

.PHONY: stale
stale:
	@rm -rf $(VENV)

$(VENV)/installed: $(STALE) pyproject.toml constraints.txt $(ENGINE_SOURCES) $(PJSIP_SOURCES)
	@$(PACKAGES) $(BASE_PACKAGES) media/pjsip/packages.txt systemd/packages.txt
	@test -x $(BIN)/pip || { $(PYTHON) -m venv $(VENV) && $(BIN)/pip install -q -U pip; }
	@rm -f build/cp3*/CMakeCache.txt  # it names the PJSIP of the last time
	@pjsip=$$($(PYTHON) media/pjsip/build.py) && \
	echo "installing Offhook in $(VENV)" && \
	$(BIN)/pip install -q 'scikit-build-core>=0.10' 'nanobind>=2.4' 'cmake>=3.25' ninja setuptools wheel && \
	$(BIN)/pip install -q --force-reinstall --no-deps "$$pjsip"/wheel/pjsua2-*.whl && \
	PATH="$(CURDIR)/$(BIN):$$PATH" PKG_CONFIG_PATH="$$pjsip/lib/pkgconfig" \
	    $(BIN)/pip install -q --no-build-isolation -e .
	@touch $@

$(VENV)/dev-installed: $(VENV)/installed
	@$(BIN)/pip install -q --group dev
	@touch $@

# Unit tests wait more than they compute: four processes share two cores.
.PHONY: check
check: $(VENV)/dev-installed bench-ready ## Format, lint, strict types, import contract, unit tests: before every commit
	$(BIN)/ruff format --check $(PYTHON_TREES)
	$(BIN)/ruff check $(PYTHON_TREES)
	$(BIN)/clang-format --dry-run --Werror media/engine/*.cpp media/engine/*.hpp media/engine/tests/*.cpp
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(PYTEST) -n 4 -m "not slow" tests/unit tests/component

.PHONY: check-slow
check-slow: $(VENV)/dev-installed ## The rest of the unit and component tests: PJSIP's faults, long noises
	$(PYTEST) -n 4 -m slow tests/unit tests/component

.PHONY: format
format: $(VENV)/dev-installed ## Bring all sources into form
	$(BIN)/ruff format $(PYTHON_TREES)
	$(BIN)/ruff check --fix-only $(PYTHON_TREES)
	$(BIN)/clang-format -i media/engine/*.cpp media/engine/*.hpp media/engine/tests/*.cpp

.PHONY: docs
docs: $(VENV)/dev-installed ## Write the reference in docs/agents.md anew, from the code
	$(BIN)/python -m gateway.agents.reference docs/agents.md

.PHONY: check-native
check-native: $(VENV)/dev-installed ## The engine's own tests under ThreadSanitizer and AddressSanitizer
	@$(PACKAGES) media/engine/tests/packages.txt
	PATH="$(CURDIR)/$(BIN):$$PATH" PKG_CONFIG_PATH="$$($(PYTHON) media/pjsip/build.py)/lib/pkgconfig" \
	    media/engine/tests/run.sh

.PHONY: test
test: check check-slow check-native test-e2e test-hostile test-systemd ## Everything

.PHONY: test-e2e
test-e2e: $(VENV)/dev-installed ## Real calls against Kamailio, SIPp and baresip on loopback
	@$(PACKAGES) --asleep tests/packages.txt
	$(PYTEST) $(RERUNS) tests/e2e

# With SANITIZE=1 PJSIP and the engine are built with AddressSanitizer, in an environment of their own: pytest itself, and
# the callers, run in the usual one.
.PHONY: test-hostile
test-hostile: $(VENV)/dev-installed $(if $(SANITIZE),$(SANITIZED)/installed) ## Fuzzers and floods, a call beside them (SECONDS=5 each, SEED=1, SANITIZE=1)
	$(if $(SECONDS),HOSTILE_SECONDS=$(SECONDS)) $(if $(SEED),HOSTILE_SEED=$(SEED)) \
	    $(if $(SANITIZE),HOSTILE_OFFHOOK=$(CURDIR)/$(SANITIZED)/bin/offhook) $(PYTEST) tests/hostile

$(SANITIZED)/installed: $(VENV)/installed
	@test -x $(SANITIZED)/bin/pip || { $(PYTHON) -m venv $(SANITIZED) && $(SANITIZED)/bin/pip install -q -U pip; }
	@pjsip=$$(OFFHOOK_SANITIZER=address $(PYTHON) media/pjsip/build.py) && \
	echo "installing Offhook with AddressSanitizer in $(SANITIZED)" && \
	$(SANITIZED)/bin/pip install -q 'scikit-build-core>=0.10' 'nanobind>=2.4' 'cmake>=3.25' ninja setuptools wheel && \
	$(SANITIZED)/bin/pip install -q --force-reinstall --no-deps "$$pjsip"/wheel/pjsua2-*.whl && \
	PATH="$(CURDIR)/$(SANITIZED)/bin:$$PATH" PKG_CONFIG_PATH="$$pjsip/lib/pkgconfig" \
	    $(SANITIZED)/bin/pip install -q --no-build-isolation -C build-dir=build/sanitized \
	    -C cmake.define.OFFHOOK_SANITIZER=address -e .
	@touch $@

.PHONY: test-systemd
test-systemd: wheels $(VENV)/dev-installed ## The service in a Debian booted for it, and a first build in a fresh one (needs root)
	@$(PACKAGES) --asleep tests/packages.txt
	$(SUDO) env "PATH=$$PATH" $(PYTEST) $(RERUNS) tests/systemd
	$(SUDO) env "PATH=$$PATH" $(BIN)/pytest -q tests/cold -k $(FIRST_SUITE)

# Longer than every change can wait: PJSIP is compiled in each.
.PHONY: test-cold
test-cold: $(VENV)/dev-installed ## The first commands of a newcomer, in a fresh Debian 12 and 13 (needs root; 20 minutes)
	@$(PACKAGES) --asleep tests/packages.txt
	$(SUDO) env "PATH=$$PATH" $(BIN)/pytest -q -s tests/cold

.PHONY: wheels
wheels: $(VENV)/installed ## Offhook and all that it needs as wheels, in build/wheels (EXTRAS=network,silero)
	@pjsip=$$($(PYTHON) media/pjsip/build.py) && rm -rf build/wheels && mkdir -p build/wheels && \
	cp "$$pjsip"/wheel/pjsua2-*.whl build/wheels && \
	PATH="$(CURDIR)/$(BIN):$$PATH" PKG_CONFIG_PATH="$$pjsip/lib/pkgconfig" \
	    $(BIN)/pip wheel -q --no-build-isolation --find-links build/wheels -w build/wheels '.$(if $(EXTRAS),[$(EXTRAS)])'

# Under sudo the wheels are still built as the user, whose the tree and the cache of PJSIP are.
.PHONY: install
install: ## Install or upgrade the systemd service (as root; EXTRAS=network,silero; UNCHECKED=1 despite faults in its configuration)
	@$(PACKAGES) $(BASE_PACKAGES) media/pjsip/packages.txt systemd/packages.txt
	@$(if $(SUDO_USER),sudo -u $(SUDO_USER) -H) $(MAKE) -s wheels EXTRAS=$(EXTRAS)
	$(SUDO) systemd/install.sh build/wheels $(if $(UNCHECKED),--unchecked)

.PHONY: uninstall
uninstall: ## Remove the service; configuration stays
	$(SUDO) systemd/install.sh uninstall

.PHONY: upgrade
upgrade: ## Take the newest versions of all libraries, and keep them in constraints.txt
	rm -rf $(VENV)
	@sed -i '/^#/!d' constraints.txt
	@$(MAKE) -s $(VENV)/dev-installed
	@$(BIN)/pip freeze --all --exclude-editable --exclude pjsua2 --exclude setuptools >>constraints.txt
	@touch $(VENV)/installed $(VENV)/dev-installed

.PHONY: bench-echo
bench-echo: bench-ready ## Echo: loss, latency, CPU and memory per call (CALLS=500 SECONDS=30)
	$(BIN)/python -m bench.echo $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-ladder
bench-ladder: bench-ready ## The same with 1, 10, 100, 500 and 1,000 calls: how the cost grows
	$(BIN)/python -m bench.echo --ladder $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-setup
bench-setup: bench-ready ## Calls set up per second, with 300 live
	$(BIN)/python -m bench.setup $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-bargein
bench-bargein: bench-ready ## From the caller's first word to the agent's silence (CALLS=300)
	$(BIN)/python -m bench.bargein $(if $(CALLS),--calls $(CALLS))

.PHONY: bench-overload
bench-overload: bench-ready ## Echo calls beside a busy program, and more calls than there is room for (CALLS=1000 SECONDS=15)
	$(BIN)/python -m bench.overload $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-agents
bench-agents: $(VENV)/dev-installed bench-ready ## Calls with a bot behind a WebSocket, beside an echo's (CALLS=200 SECONDS=20)
	$(BIN)/python -m bench.network $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-peers
bench-peers: bench-ready ## The same calls to the gateway and to Asterisk 22, in turns (CALLS=500 SECONDS=15; needs root)
	$(BIN)/python -m bench.peers $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-compare
bench-compare: bench-ready ## This tree beside another commit: medians and ratios (BASE=commit; 15 minutes)
	$(BIN)/python -m bench.compare $(BASE)

.PHONY: bench-pipeline
bench-pipeline: $(VENV)/installed ## Cost of a frame and of a stage, beside pipecat
	$(BIN)/python -m bench.pipeline

.PHONY: bench-results
bench-results: $(VENV)/dev-installed bench-ready ## All published figures anew: medians of five runs, plots, README (30 minutes)
	@$(PACKAGES) bench/packages.txt
	$(BIN)/python -m bench.results

.PHONY: bench-vad
bench-vad: $(VENV)/dev-installed ## Detectors of voice: what they hear in noise, how soon, what they cost (CALLS=300 SECONDS=5)
	@$(PACKAGES) bench/packages.txt
	$(BIN)/python -m bench.vad $(if $(CALLS),--calls $(CALLS)) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: bench-plots
bench-plots: $(VENV)/dev-installed ## Draw bench/results/*.json, and put their figures into README.md
	$(BIN)/python -m bench.plot
	$(BIN)/python -m bench.figures

.PHONY: bench-ready
bench-ready: $(VENV)/installed
	@$(MAKE) -s -C bench/loadgen

.PHONY: clean
clean: ## Remove what was built here; the PJSIP cache stays
	rm -rf $(VENV) build bench/loadgen/build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
