# Two commands set everything up on a fresh machine: `make demo` and `make test`.
CACHE ?= $(HOME)/.cache/millrace
export MILLRACE_CACHE := $(CACHE)
export CARGO_TARGET_DIR ?= $(CACHE)/target

.PHONY: demo test test-long lint fmt release bench

## Builds Millrace and runs its main job on embedded defaults; Ctrl-C stops it.
demo:
	cargo run --bin millrace -- demo

## All that CI checks.
test: lint
	bash tests/run.sh

## What does not fit into CI: 200 kills, longer runs.
test-long:
	MILLRACE_TEST_LONG=1 bash tests/run.sh --package millrace-tests

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt:
	cargo fmt --all

## The binary that is shipped and measured.
release:
	cargo build --release --bin millrace

## Every measurement of benches/README.md.
bench: release
	bash benches/run.sh
