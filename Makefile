# Everything a developer and CI run. It needs python3 >= 3.11, make, and pip with a package index that it can reach.

PYTHON ?= python3

# The Airflow versions that are tested: the newest, the oldest that is supported, and the one that comes next.
AIRFLOW := 3.3.2
AIRFLOW_OLD := 3.1.8
AIRFLOW_NEXT := 3.4.0b2

# Airflow 3.1 leaves these open, but its execution API does not answer with newer ones.
CAPS_OLD := 'fastapi<0.118' 'cadwyn<6'

VENV := .venv
VENV_OLD := .venv-3.1
VENV_NEXT := .venv-3.4
VENV_LOWEST := .venv-lowest
VENV_WHEEL := .venv-wheel

.DEFAULT_GOAL := help
.PHONY: help venv venv-3.1 venv-3.4 test test-full lint docs types browser unit unit-pythons unit-lowest integration integration-3.1 \
	integration-3.4 test-system mutants demo bench constraints build package clean

help:  ## list the targets
	@sed -n 's/^\([a-z0-9.-]*\):.*##  *\(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  %-16s %s\n' "$$name" "$$text"; done

# $(call install,<environment>,<arguments of "pip install">): uv takes seconds where pip takes minutes, but it does not
# read pip's configuration; where it finds no index, pip does the work. Bytecode is written at once, as pip does: a shell
# may tell Python to write none (PYTHONDONTWRITEBYTECODE), and then every start of Airflow takes seconds more.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv || echo "No uv to be had; pip alone takes minutes."
	@$(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python $(2) || { \
		echo "Installing with pip instead; this takes minutes."; \
		$(1)/bin/python -m pip install --quiet --disable-pip-version-check $(2); }
endef

# $(call compile,<environment>): librosa compiles its functions at their first use, for up to a minute, and keeps them
# beside itself. Done once here, no test and no demo waits for it.
define compile
	@echo "Compiling what finds beats ..."
	@$(1)/bin/python -c 'from airflow_provider_mediax.emulator.sound.analysis import warm_up_tracker; warm_up_tracker()'
	@touch $(1)/.installed
endef

venv: $(VENV)/.installed  ## make .venv with the newest Airflow and all development tools
venv-3.1: $(VENV_OLD)/.installed  ## make .venv-3.1 with the oldest supported Airflow
venv-3.4: $(VENV_NEXT)/.installed  ## make .venv-3.4 with the Airflow that comes next

$(VENV)/.installed: constraints/airflow-$(AIRFLOW).txt
$(VENV_OLD)/.installed: constraints/airflow-$(AIRFLOW_OLD).txt
$(VENV_NEXT)/.installed: constraints/airflow-$(AIRFLOW_NEXT).txt
$(VENV)/.installed $(VENV_OLD)/.installed $(VENV_NEXT)/.installed: pyproject.toml
	$(call install,$(@D),--constraint $(filter constraints/%,$^) --editable '.[dev]')
	$(call compile,$(@D))

# The lowest Airflow is the oldest. Only uv can resolve to the lowest; what libraries of libraries take is the newest.
$(VENV_LOWEST)/.installed: pyproject.toml
	$(call install,$(@D),--resolution lowest-direct --editable '.[dev]' $(CAPS_OLD))
	$(call compile,$(@D))

test-full: FULL := --full
test-full: browser test integration-3.4 unit-pythons unit-lowest  ## the same with every case of each kind, all Pythons, and the oldest libraries

test: lint types unit integration integration-3.1 demo test-system  ## everything that CI runs

# Most tests wait more than they compute, so two cores carry four processes; WORKERS=0 runs them in one.
WORKERS ?= 4
PYTEST = -m pytest $(FULL) --numprocesses $(WORKERS) --dist worksteal

lint: venv docs  ## style, format and spelling of all files, and the site
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell

docs: venv  ## the site, in build/docs; a warning, such as a link that leads nowhere, is an error
	$(VENV)/bin/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env -j auto -c docs . build/docs

types: venv  ## types of the package, strictly
	$(VENV)/bin/mypy

unit: venv  ## tests without a running DAG
	$(VENV)/bin/python $(PYTEST) --cov --cov-report=term:skip-covered tests/unit tests/model

browser:  ## Chromium from Debian's packages, where there is none: the tests with a real browser need it
	scripts/install_chromium.sh

unit-pythons: venv  ## unit tests on every other Python from 3.11 to 3.13 that this machine has
	@for found in $$($(VENV)/bin/python scripts/find_pythons.py); do \
		$(MAKE) unit VENV=.venv-py$${found%%=*} PYTHON=$${found#*=} || exit 1; done

unit-lowest: $(VENV_LOWEST)/.installed  ## unit tests with the lowest version of every library that pyproject.toml allows
	$(VENV_LOWEST)/bin/python $(PYTEST) tests/unit tests/integration/fs

integration: venv  ## DAGs run by dag.test() on the newest Airflow
	$(VENV)/bin/python $(PYTEST) tests/integration

# What knows nothing of Airflow need not be tested with every Airflow.
WITHOUT_AIRFLOW := tests/unit/protocol tests/unit/emulator

integration-3.1: venv-3.1  ## unit and integration tests on the oldest Airflow
	$(VENV_OLD)/bin/python $(PYTEST) tests/unit tests/integration $(if $(FULL),,$(WITHOUT_AIRFLOW:%=--ignore=%))

integration-3.4: venv-3.4  ## unit and integration tests on the Airflow that comes next
	$(VENV_NEXT)/bin/python $(PYTEST) tests/unit tests/integration $(if $(FULL),,$(WITHOUT_AIRFLOW:%=--ignore=%))

test-system: venv  ## real services that are killed and restarted; ARGS="--copies 20" lets each scenario happen 20 times
	$(VENV)/bin/python -m pytest $(FULL) tests/system $(ARGS)

demo: venv  ## a first run without an account; AUDIO=<file> analyzes a file of yours
	$(VENV)/bin/python scripts/demo.py $(if $(AUDIO),--audio '$(AUDIO)')

# A tool of its own environment, on top of .venv: what it needs beyond that is not pinned with the package's own tools.
MUTMUT := mutmut==3.8.1
VENV_MUTANTS := .venv-mutants

mutants: $(VENV_MUTANTS)/.installed  ## break the code and see what the tests miss; ARGS=<files of the package>
	$(VENV_MUTANTS)/bin/python -m mutmut run --max-children $(or $(CORES),2) $(subst /,.,$(ARGS:.py=.*))
	@$(VENV_MUTANTS)/bin/python -m mutmut results | grep -Ev ': (not checked|timeout)$$' || echo "Every mutant was noticed."

$(VENV_MUTANTS)/.installed: $(VENV)/.installed
	$(PYTHON) -m venv --clear $(VENV_MUTANTS)
	$(VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])' \
		> "$$($(VENV_MUTANTS)/bin/python -c 'import site; print(site.getsitepackages()[0])')/venv.pth"
	$(VENV_MUTANTS)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints/airflow-$(AIRFLOW).txt '$(MUTMUT)'
	@touch $@

# Of its own environment, on top of .venv: the triggers of other services that ours are compared with.
VENV_BENCH := .venv-bench

bench: $(VENV_BENCH)/.installed  ## the benchmarks, half an hour; ARGS=--quick for three minutes, ARGS=--full for all rows
	$(VENV_BENCH)/bin/python benchmarks/run.py $(ARGS)

$(VENV_BENCH)/.installed: $(VENV)/.installed
	$(PYTHON) -m venv --clear $(VENV_BENCH)
	$(VENV)/bin/python -c 'import site; print(site.getsitepackages()[0])' \
		> "$$($(VENV_BENCH)/bin/python -c 'import site; print(site.getsitepackages()[0])')/venv.pth"
	$(VENV_BENCH)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints/airflow-$(AIRFLOW).txt \
		$$($(VENV)/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"])')
	@touch $@

# What the newest provider of amazon can be installed beside; nothing else here minds.
CAPS_SHARED := 'python-dateutil<3'

# $(call resolve,<Airflow version>,<more requirements>): install the newest of everything and write down what that was,
# as "name==version" only: no address of an index or a file, and not what every environment brings along.
define resolve
	$(call install,.venv-resolve,--editable '.[dev]' apache-airflow==$(1) $(CAPS_SHARED) $(2))
	@mkdir -p constraints
	.venv-resolve/bin/python -m pip list --disable-pip-version-check --format freeze \
		--exclude airflow-provider-mediax --exclude pip --exclude setuptools --exclude uv \
		| LC_ALL=C sort -f > constraints/airflow-$(1).txt
	rm -rf .venv-resolve
endef

constraints:  ## resolve all environments anew and pin them in constraints/
	$(call resolve,$(AIRFLOW))
	$(call resolve,$(AIRFLOW_OLD),$(CAPS_OLD))
	$(call resolve,$(AIRFLOW_NEXT))

build: venv  ## wheel and source archive in dist/
	rm -rf dist
	$(VENV)/bin/python -m hatchling build

# The wheel is built from the source archive, so that this holds all that it takes. Other Pythons than the pinned
# environments' resolve for themselves; where there is no uv, pip does the work.
package: venv  ## the wheel where there is nothing but Airflow, on every Python from 3.11 to 3.13 that this machine has
	rm -rf dist && $(VENV)/bin/python -m hatchling build --target sdist
	tar -xzf dist/*.tar.gz -C dist && cd dist/*/ && $(abspath $(VENV))/bin/python -m hatchling build --target wheel --directory ..
	@for python in $(VENV)/bin/python $$($(VENV)/bin/python scripts/find_pythons.py | sed 's/.*=//'); do \
		$$python -m venv --clear $(VENV_WHEEL) && \
		$(VENV)/bin/uv pip install --quiet --python $(VENV_WHEEL)/bin/python dist/*.whl apache-airflow==$(AIRFLOW) \
			--constraint constraints/airflow-$(AIRFLOW).txt && \
		$(VENV)/bin/uv pip check --python $(VENV_WHEEL)/bin/python && \
		$(VENV_WHEEL)/bin/python -I scripts/smoke_wheel.py || exit 1; done
	rm -rf $(VENV_WHEEL)

clean:  ## remove environments, archives and caches
	rm -rf $(VENV) $(VENV_OLD) $(VENV_NEXT) $(VENV_LOWEST) $(VENV_WHEEL) $(VENV_MUTANTS) $(VENV_BENCH) .venv-py* .venv-resolve mutants dist build .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
