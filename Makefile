# What can be done here: `make` lists it. Everything runs in .venv, which is made when first needed.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

SAM := env SAM_CLI_TELEMETRY=0 .venv/sam/bin/sam
TEMPLATES = $(wildcard glue/template.json glue/sets/*.json quicksight/*.json quicksight/sets/*/*.json)
WHEEL := dist/anomalake-$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)-py3-none-any.whl
PROFILE := default
VERSITYGW := v1.8.0
ROUNDS := 150
SECONDS := 60

.PHONY: help demo test s3-test conformance backfill-test backfill-upload soak fuzz check build deploy bench bench-scale screenshot render clean
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: .venv/.local ## the whole pipeline on the New York flights of 2013, and its dashboard
	@$(BIN)/anomalake demo

test: .venv/.dev ## the tests
	@$(BIN)/python -m pytest -n 2

s3-test: .venv/.dev .venv/go/$(VERSITYGW)/versitygw ## the tests of lakes in S3 on a real S3 server, versitygw (wants Go, once)
	@$(BIN)/python tests/support/s3_real.py .venv/go/$(VERSITYGW)/versitygw

backfill-test: .venv/.dev .venv/.spark $(WHEEL) ## the back-test in Spark, on local Spark (wants Java 17)
	@java -version >/dev/null 2>&1 || { echo "Spark needs Java 17 (Debian: apt install openjdk-17-jre-headless)" >&2; exit 1; }
	@$(BIN)/python -m pytest -n 2 tests/spark

backfill-upload: .venv/.local $(WHEEL) ## what the back-test jobs of a stack run on: LAKE=s3://BUCKET
	@$(BIN)/python glue/upload.py $(LAKE)

conformance: .venv/.dev ## every statement of the stack on Trino, which Athena runs on (wants Java 24 or newer, and Maven; docs/conformance.md)
	@$(BIN)/python -m pytest -n 0 -rPs --durations 5 tests/conformance

soak: .venv/.dev ## random faults and kills at ingest, for ROUNDS=150 rounds (some ten minutes); SEED=n repeats what was sent
	@PYTHONPATH=tests/support:tests $(BIN)/python -m soak --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

fuzz: .venv/.dev .venv/.fuzz ## a fuzzer on what reads alerts: SECONDS=60 (Python 3.11 or 3.13 on x86_64 Linux)
	@PYTHONPATH=tests/support $(BIN)/python tests/fuzz/run.py $(SECONDS)

check: .venv/.dev .venv/.checkov .venv/.ric build ## the quick checks: lint, types, rendered files, templates, what was built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/anomalake render --check
	@.venv/sam/bin/python .ci/transform.py template.yaml transformed.json
	$(BIN)/cfn-lint --regions us-east-1 eu-central-1 -- template.yaml transformed.json $(TEMPLATES)
	$(SAM) validate --lint --region eu-central-1
	.venv/checkov/bin/checkov --directory . --framework cloudformation --skip-path '^/?\.' --skip-path transformed.json --skip-download --quiet --compact
	@$(BIN)/python -m pytest -n 0 tests/built

build: .venv/.sam $(WHEEL) ## sam build: the functions and their layers, in .aws-sam/build; and the wheel, in dist
	@PYTHON=$(CURDIR)/$(BIN)/python PYTHON313="$$(.ci/python313 2>/dev/null || echo python3.13)" $(SAM) build --cached --parallel

deploy: build ## sam deploy: PROFILE=default or prod (samconfig.toml), PARAMETERS="Name=value ..."
	@# SAM does not read AWS_REGION, as the AWS CLI does
	@$${AWS_REGION:+env AWS_DEFAULT_REGION=$$AWS_REGION} $(SAM) deploy --config-env $(PROFILE) $(if $(PARAMETERS),--parameter-overrides "$$($(BIN)/python -c 'import sys, tomllib; \
		print(*tomllib.load(open("samconfig.toml", "rb"))[sys.argv[1]]["deploy"]["parameters"]["parameter_overrides"])' $(PROFILE))" $(PARAMETERS))

bench: .venv/.dev .venv/.rivals build ## the numbers of docs/benchmarks.md
	@$(BIN)/python benchmarks/run.py

bench-scale: .venv/.dev ## the numbers of docs/scaling.md: a year of 20 metric sets in DuckDB and Trino (wants Java 24 or newer, and Maven), and costs
	@$(BIN)/python benchmarks/scale.py
	@$(BIN)/python benchmarks/cost.py

render: .venv/.local ## write what is made from src/metric_sets
	@$(BIN)/anomalake render

screenshot: .venv/.local ## the picture in the README (wants chromium and dashboard.html of `make demo`)
	@$(BIN)/python docs/screenshot.py dashboard.html docs/dashboard.png

clean: ## remove what was made here, the environment too; lakes of your own stay
	@if [ -d demo-lake ]; then $(BIN)/python -m anomalake.cli.demo.folder demo-lake; fi
	rm -rf .venv .aws-sam transformed.json dashboard.html build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found (try: make PYTHON=/path/to/python3.13 ...)" >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Python's venv module is needed (Debian: apt install python3-venv)" >&2; exit 1; }

.venv/.local: .venv/bin/python pyproject.toml constraints.txt
	@echo "installing what the demo needs (constraints.txt)"
	@$(PIP) --editable '.[local]'
	@touch $@

.venv/.dev: .venv/.local
	@echo "installing what the tests need"
	@$(PIP) --editable '.[dev]'
	@touch $@

$(WHEEL): .venv/bin/python pyproject.toml README.md $(shell find src/anomalake -name '*.py' -o -name '*.yaml')
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

# Tools that pin what the environment pins otherwise have one of their own; so have the detector's rivals in the benchmark.
.venv/.sam .venv/.checkov .venv/.rivals: .venv/.%: .ci/%.txt .venv/bin/python
	@echo "installing $* (.ci/$*.txt)"
	@$(BIN)/python -m venv .venv/$*
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --requirement .ci/$*.txt
	@touch $@

# Spark 3.5 knows Python up to 3.12; Glue 5 runs it on 3.11.
.venv/.spark: .ci/spark.txt .venv/bin/python
	@echo "installing Spark (.ci/spark.txt)"
	@$$(command -v python3.11 || command -v python3.12 || echo $(BIN)/python) -m venv .venv/spark
	@.venv/spark/bin/python -m pip install --quiet --disable-pip-version-check --requirement .ci/spark.txt
	@touch $@

.venv/.fuzz: .ci/fuzz.txt .venv/bin/python
	@echo "installing the fuzzer (.ci/fuzz.txt)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement .ci/fuzz.txt
	@touch $@

.venv/go/$(VERSITYGW)/versitygw: | .venv/bin/python
	@command -v go >/dev/null || { echo "Go is needed, to build versitygw (Debian: apt install golang-go, or https://go.dev/dl)" >&2; exit 1; }
	@echo "building versitygw $(VERSITYGW), which takes about three minutes"
	@GOBIN=$(CURDIR)/.venv/go/$(VERSITYGW) go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)

# It holds machine code for Lambda's Python, which need not be the one of .venv.
.venv/.ric: .ci/ric.txt .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --implementation cp --python-version 3.13 \
		--platform manylinux_2_28_$$(uname -m) --platform manylinux2014_$$(uname -m) --upgrade --target .venv/ric --requirement .ci/ric.txt
	@touch $@
