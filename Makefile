# `make` lists what there is. Everything runs in .venv, which each target sets up as far as it needs it, from lock files with hashes.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := install --quiet --no-compile --no-deps
LOCKED := $(INSTALL) --require-hashes --requirement
install-in = $(PIP) --python .venv/$(1)/bin/python $(LOCKED) .ci/$(1).txt

SAM := env SAM_CLI_TELEMETRY=0 .venv/sam/bin/sam
TEMPLATES = $(wildcard glue/template.json glue/sets/*.json quicksight/*.json quicksight/sets/*/*.json)
WHEEL := dist/anomalake-$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)-py3-none-any.whl
PROFILE := default
VERSITYGW := v1.8.0
ROUNDS := 150
SECONDS := 60

# Every process would compile .venv and src again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow s3-test conformance prefetch backfill-test backfill-upload soak fuzz check build deploy bench bench-scale screenshot render \
	vega lock sbom clean
help: ## list the targets
	@echo "Anomalake: a first look is 'make demo'; before a commit run 'make check test'. The targets:"
	@echo
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

demo: .venv/.demo ## run the whole pipeline on the New York flights of 2013 and write its dashboard
	@$(BIN)/anomalake demo

test: .venv/.test ## run the tests, or a part of them: make test T=tests/lake
	@$(BIN)/python -m pytest -n 2 $(T)

test-slow: .venv/.test ## run the tests that take longest: faults at every step, thousands of generated cases
	@HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -n 2 -m "slow or property" $(T)

s3-test: .venv/.test .venv/go/$(VERSITYGW)/versitygw ## run the tests of lakes in S3 on a real S3 server, versitygw (requires Go to build it once)
	@$(BIN)/python tests/support/s3_real.py .venv/go/$(VERSITYGW)/versitygw

backfill-test: .venv/.test .venv/.spark $(WHEEL) ## run the back-test on local Spark (requires Java 17)
	@java -version >/dev/null 2>&1 || { echo "Spark needs Java 17 (Debian: apt install openjdk-17-jre-headless)" >&2; exit 1; }
	@$(BIN)/python -m pytest -n 2 tests/spark

backfill-upload: .venv/.demo $(WHEEL) ## upload what the back-test jobs of a stack run on: LAKE=s3://BUCKET
	@$(BIN)/python glue/upload.py $(LAKE)

conformance: .venv/.test ## run every SQL statement of the stack on Trino, the engine of Athena (requires Java 24 or newer, and Maven; docs/conformance.md)
	@$(BIN)/python -m pytest -n 0 -rPs --durations 5 tests/conformance

prefetch: .venv/.test # fetch and build what s3-test, backfill-test and conformance need; `.ci/run` calls it in the background
	-@if command -v go >/dev/null; then $(MAKE) .venv/go/$(VERSITYGW)/versitygw; fi
	-@$(MAKE) .venv/.spark
	-@PYTHONPATH=tests/support:tests $(BIN)/python -c "from conformance import engine; engine.prepare_server_folder()"

soak: .venv/.test ## ingest alerts under random faults and kills: ROUNDS=150 rounds take about ten minutes; SEED=n repeats the same messages
	@PYTHONPATH=tests/support:tests $(BIN)/python -m soak --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED))

fuzz: .venv/.test .venv/.fuzz ## fuzz the readers of alerts: SECONDS=60 (Python 3.11 or 3.13 on x86_64 Linux)
	@PYTHONPATH=tests/support $(BIN)/python tests/fuzz/run.py $(SECONDS)

check: .venv/.test .venv/.lint .venv/.checkov .venv/.ric .venv/.vega build ## run the quick checks: lint, types, rendered files, templates, what was built
	.venv/lint/bin/ruff check .
	.venv/lint/bin/ruff format --check .
	.venv/lint/bin/mypy
	.venv/lint/bin/mypy --config-file .ci/mypy_tests.ini tests benchmarks
	@.venv/vega/bin/python .ci/vega.py --check
	$(BIN)/anomalake render --check
	@.venv/sam/bin/python .ci/transform.py template.yaml transformed.json
	.venv/sam/bin/cfn-lint --regions us-east-1 eu-central-1 -- template.yaml transformed.json $(TEMPLATES)
	$(SAM) validate --lint --region eu-central-1
	.venv/checkov/bin/checkov --directory . --framework cloudformation --skip-path '^/?\.' --skip-path transformed.json --skip-download --quiet --compact
	@$(BIN)/python -m pytest -n 2 -m cfn_lint
	@$(BIN)/python -m pytest -n 0 tests/built

build: .venv/.sam $(WHEEL) ## build the functions and their layers into .aws-sam/build (sam build), and the wheel into dist
	@PYTHON=$(CURDIR)/$(BIN)/python PYTHON313="$$(.ci/python313 2>/dev/null || echo python3.13)" $(SAM) build --cached --parallel

deploy: build ## deploy the stack (sam deploy): PROFILE=default or prod (samconfig.toml), PARAMETERS="Name=value ..."
	@# SAM does not read AWS_REGION; the AWS CLI does
	@$${AWS_REGION:+env AWS_DEFAULT_REGION=$$AWS_REGION} $(SAM) deploy --config-env $(PROFILE) $(if $(PARAMETERS),--parameter-overrides "$$($(BIN)/python -c 'import sys, tomllib; \
		print(*tomllib.load(open("samconfig.toml", "rb"))[sys.argv[1]]["deploy"]["parameters"]["parameter_overrides"])' $(PROFILE))" $(PARAMETERS))

bench: .venv/.test .venv/.rivals build ## measure the numbers of docs/benchmarks.md
	@$(BIN)/python benchmarks/run.py

bench-scale: .venv/.test ## measure the numbers of docs/scaling.md: a year of 20 metric sets in DuckDB and Trino (requires Java 24 or newer, and Maven), and costs
	@$(BIN)/python benchmarks/scale.py
	@$(BIN)/python benchmarks/cost.py

render: .venv/.demo ## write the templates that follow from src/metric_sets
	@$(BIN)/anomalake render

vega: .venv/.vega ## write the JavaScript of the charts, src/anomalake/dashboards/preview/page/vega_embed.js
	@.venv/vega/bin/python .ci/vega.py

lock: .venv/.lock ## write the lock files: exact versions with hashes (.ci/lock says more)
	@.ci/lock

sbom: .venv/.demo .venv/.sbom ## write dist/sbom.cdx.json (CycloneDX) and dist/licences.md: the parts that the command runs on
	@mkdir -p dist
	@.venv/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible --of JSON \
		--output-file dist/sbom.cdx.json $(BIN)/python
	@.venv/sbom/bin/pip-licenses --python=$(BIN)/python --format=markdown --with-urls --order=license --output-file=dist/licences.md
	@echo dist/sbom.cdx.json; echo dist/licences.md

screenshot: .venv/.demo ## write the picture of the README (requires chromium and the dashboard.html of `make demo`)
	@$(BIN)/python docs/screenshot.py dashboard.html docs/dashboard.png

clean: ## remove what these targets wrote, and the environment; keep your own lakes
	@if [ -d demo-lake ]; then $(BIN)/python -m anomalake.cli.demo.folder demo-lake; fi
	rm -rf .venv .aws-sam transformed.json dashboard.html build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is required and was not found; name one: make PYTHON=/path/to/python3.13 ..." >&2; exit 1; }
	@echo "setting up .venv with $$($(PYTHON) --version)"
	@$(PYTHON) .ci/environment.py

.venv/.demo: .ci/demo.txt | .venv/bin/python
	@echo "installing what the demo runs on (.ci/demo.txt)"
	@$(PIP) $(LOCKED) .ci/demo.txt
	@touch $@

.venv/.test: constraints.txt .venv/.demo
	@echo "installing what the tests run on (constraints.txt)"
	@$(PIP) $(LOCKED) constraints.txt
	@touch $@

$(WHEEL): .venv/.demo pyproject.toml README.md $(shell find src/anomalake -name '*.py' -o -name "*.yaml" -o -name "vega_embed.js")
	@$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# Tools have environments of their own: what they need disagrees with the project's versions, and few targets need them.
.venv/.sam .venv/.checkov .venv/.rivals .venv/.vega .venv/.lock .venv/.sbom: .venv/.%: .ci/%.txt | .venv/bin/python
	@echo "installing $* (.ci/$*.txt)"
	@$(BIN)/python -m venv --without-pip .venv/$*
	@$(call install-in,$*)
	@touch $@

# mypy reads the packages that the project runs on, so its environment leads to theirs.
.venv/.lint: .ci/lint.txt | .venv/bin/python
	@echo "installing the linters (.ci/lint.txt)"
	@$(BIN)/python -m venv --without-pip .venv/lint
	@$(call install-in,lint)
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$(.venv/lint/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/anomalake.pth"
	@touch $@

# Spark 3.5 supports Python up to 3.12; Glue 5 runs it on 3.11.
.venv/.spark: .ci/spark.txt | .venv/bin/python
	@echo "installing Spark (.ci/spark.txt)"
	@$$(command -v python3.11 || command -v python3.12 || echo $(BIN)/python) -m venv --without-pip .venv/spark
	@$(call install-in,spark)
	@touch $@

.venv/.fuzz: .ci/fuzz.txt | .venv/bin/python
	@echo "installing the fuzzer (.ci/fuzz.txt)"
	@$(PIP) $(LOCKED) .ci/fuzz.txt
	@touch $@

.venv/go/$(VERSITYGW)/versitygw: | .venv/bin/python
	@command -v go >/dev/null || { echo "Go is required to build versitygw (Debian: apt install golang-go, or https://go.dev/dl)" >&2; exit 1; }
	@echo "building versitygw $(VERSITYGW), which takes about three minutes"
	@GOBIN=$(CURDIR)/.venv/go/$(VERSITYGW) go install github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW)

# The runtime interface client holds machine code for Lambda's Python, which may differ from that of .venv.
.venv/.ric: .ci/ric.txt | .venv/bin/python
	@$(PIP) $(LOCKED) .ci/ric.txt --only-binary=:all: --implementation cp --python-version 3.13 \
		--platform manylinux_2_28_$$(uname -m) --platform manylinux2014_$$(uname -m) --upgrade --target .venv/ric
	@touch $@
