# Every command here works in a fresh checkout: what it needs is made first, in the virtual environment .venv.
#
#   PYTHON=python3.12 make test     another interpreter; .venv is made anew for it
#   make soak SOAK=0.01             a hundredth of the whole soak
#   make test ARGS="-k wrap -x"     further arguments for the tool behind the target
#   SCALE=10 make sanitize          ten times the work, where a target has a SCALE
#   MTSID_DEBUG=1 make test         the build switches of setup.py; a change of switch rebuilds

PYTHON ?= python3
ARGS ?=
SOAK ?= 1
SCALE ?= 1
FUZZ_SECONDS ?= 60

# Relative, so that a checkout path with spaces does no harm.
VENV := .venv
BIN := $(VENV)/bin
# The newest release of a dependency may be a source archive that needs more than a C compiler; an older wheel will do.
PIP_INSTALL := $(BIN)/python -m pip --disable-pip-version-check -qq install --prefer-binary

# What a compiled module is made from. The other sources need no reinstall: the install is an editable one.
COMPILED := $(shell find src -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.h')
BUILD_FILES := pyproject.toml setup.py

.DELETE_ON_ERROR:
# A mistyped PYTHON must not cost a rebuild.
.PRECIOUS: $(VENV)/interpreter $(VENV)/switches
.DEFAULT_GOAL := help
.PHONY: help compare test stories schedules mutants residue clients bench bench-report guards coap-full lint format clean weak soak \
	sanitize fuzz coverage FORCE

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

compare: $(VENV)/installed  ## run the 4.0 queue beside the SP2 queue (ARGS: a trace and options)
	$(BIN)/mtsid compare $(ARGS)

test: $(VENV)/extra-test  ## run the whole test suite
	$(BIN)/python -m pytest $(ARGS)

coverage: $(VENV)/extra-coverage  ## measure which lines and branches the tests run; fails below 95 and 90 %
	$(BIN)/python tools/measure_coverage.py $(ARGS)

stories: $(VENV)/extra-test  ## search for the shortest ways to each fault of 4.0, and tell them
	$(BIN)/python -m pytest tests/mta/test_any_sequence.py -k story -rP $(ARGS)

schedules: $(VENV)/extra-test  ## run small scenarios through every interleaving, on the compiled code itself
	$(BIN)/python -m pytest schedules --quiet
	$(BIN)/python -m schedules $(ARGS)

mutants: $(VENV)/extra-test  ## put faults into the core, one at a time; each must be caught
	$(BIN)/python -m schedules.mutants $(ARGS)

weak: $(VENV)/extra-test  ## check the core's memory orders under ARM's rules, exhaustively
	$(BIN)/python -m pytest weak --quiet
	$(BIN)/python -m weak $(ARGS)

residue: $(VENV)/extra-test  ## show that nothing of the scheduled build is left in the normal one
	$(BIN)/python -m schedules.residue

soak: $(VENV)/extra-test  ## 10^9 native and 10^8 Python operations, checked; SOAK=0.01 for a hundredth
	$(BIN)/python tools/soak.py $(SOAK)

sanitize: $(VENV)/extra-test  ## run under Thread-, Address- and UBSanitizer (ARGS=thread: one; SCALE=10: longer)
	$(BIN)/python -m stress --scale $(SCALE) $(ARGS)

fuzz: $(VENV)/extra-fuzz  ## fuzz the compiled core beside models, for FUZZ_SECONDS (60); needs clang
	$(BIN)/python -m pytest fuzz --quiet
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

clients: $(VENV)/extra-test $(VENV)/extra-clients  ## audit the id sources of stock clients; prints docs/AUDIT.md's table
	$(BIN)/python -m pytest tests/lab/test_audit_clients.py --quiet
	$(BIN)/python -m clients $(ARGS)

bench: $(VENV)/extra-bench  ## run the benchmarks; ratios within one run are what counts
	$(BIN)/python -m pytest bench $(ARGS)

bench-report: $(VENV)/extra-bench  ## write docs/benchmarks.md and its plots from what make bench has measured
	$(BIN)/python -m bench.report $(ARGS)

guards: $(VENV)/extra-bench  ## count the instructions of the hot paths under valgrind, and hold them to their budget
	$(BIN)/python -m pytest bench/guards/guards.py $(ARGS)

coap-full: $(VENV)/extra-test  ## run aiocoap through more messages than it has ids, at full length (6 minutes)
	MTSID_COAP_FULL=1 $(BIN)/python -m pytest tests/integrations/test_aiocoap_full.py -rP $(ARGS)

lint: $(VENV)/extra-lint  ## check style, format, types, and the stubs against the compiled modules
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy.stubtest mtsid --mypy-config-file pyproject.toml --allowlist tools/stubtest-allow.txt

format: $(VENV)/extra-lint  ## rewrite the Python files in the house format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

clean:  ## remove everything that was made: .venv, builds, caches
	rm -rf $(VENV) build dist .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src -name '*.egg-info' -prune -exec rm -rf {} +
	find src -name '*.so' -delete
	find src tests bench clients examples fuzz schedules stress weak tools docs -name __pycache__ -prune -exec rm -rf {} +

# Runs each time and rewrites only what changed: the interpreter, the place of the checkout, the build switches.
$(VENV)/interpreter $(VENV)/switches &: FORCE
	@command -v "$(PYTHON)" >/dev/null || { echo "make: no $(PYTHON) here: apt-get install python3, or say PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" tools/prepare_environment.py $(VENV)

FORCE:

# The old modules go first: to overwrite one in place would crash a program that has it loaded. Generated C does not
# know the compiler directives it was made with, so it goes when the build itself changed.
$(VENV)/installed: $(VENV)/interpreter $(VENV)/switches $(BUILD_FILES) $(COMPILED)
	$(if $(filter-out $(COMPILED),$?),rm -rf build)
	find src -name '*.so' -delete
	$(PIP_INSTALL) --editable '.[lab]'
	@touch $@

# mtsid itself is installed by now, so pip adds only what the extra names.
$(VENV)/extra-%: $(VENV)/installed
	$(PIP_INSTALL) 'mtsid[$*]'
	@touch $@
