# Everything a user or a contributor runs, by name. The work is in .ci/, so that the same steps serve by hand and in CI.

.DEFAULT_GOAL := help

PORT         ?= 8080
METRICS_PORT ?= 9000
CASES        ?= 20000
SECONDS_EACH ?= 60

# A wrong reference count aborts instead of printing a line, and what libvips still holds at the end is listed.
TEST_ENV := G_DEBUG=fatal-criticals VIPS_LEAK=1

.PHONY: help run test dependencies conformance bench compare fuzz fuzz-long docs clean

help: ## list what there is to run
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

run: ## build, serve a sample picture, print a signed URL (PORT=8080 METRICS_PORT=9000)
	@PORT=$(PORT) METRICS_PORT=$(METRICS_PORT) .ci/serve

dependencies: ## install the libraries that the build needs (Debian)
	@.ci/dependencies

test: dependencies ## format, lints, all tests, generated documents, monitoring stack
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	$(TEST_ENV) cargo test --locked
	cargo run --locked --quiet -- docs --check
	.ci/monitoring/check
	IMGFORGE_BINARY=$${CARGO_TARGET_DIR:-target}/debug/imgforge .ci/monitoring/live
	python3 benches/compare --check --ours $${CARGO_TARGET_DIR:-target}/debug/imgforge

conformance: dependencies ## compare with the recordings in ../shared (or $$SHARED)
	.ci/conformance

bench: dependencies ## run the benchmarks
	cargo bench --locked

fuzz-long: dependencies ## run the property tests with many cases (CASES=20000)
	PROPTEST_CASES=$(CASES) $(TEST_ENV) cargo test --locked --release

compare: ## compare CPU, speed and memory with another server (OTHER=/path/to/imgproxy)
	cargo build --locked --release
	python3 benches/compare $(if $(OTHER),--other $(OTHER))

fuzz: dependencies ## fuzz the parsers and whole jobs (SECONDS_EACH=60 for each of the targets)
	fuzz/run $(SECONDS_EACH)

docs: ## rewrite the generated documents
	cargo run --locked --quiet -- docs

clean: ## remove everything built, the key of `make run` included
	cargo clean
