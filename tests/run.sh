#!/usr/bin/env bash
# Runs the tests that `make test` names: installs what they need, starts one shared Kafka on loopback, stops it at the end.
#   tests/run.sh [cargo test arguments…]
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
export MILLRACE_CACHE=${MILLRACE_CACHE:-$HOME/.cache/millrace}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$MILLRACE_CACHE/target}

venv=$MILLRACE_CACHE/venv
if [ ! -e "$venv/.complete" ] || [ tests/oracle/requirements.txt -nt "$venv/.complete" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check -r tests/oracle/requirements.txt
  touch "$venv/.complete"
fi
command -v psql > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql-client; }
bash tests/kafka/kafka.sh fetch

cargo build --workspace --all-targets

kafka=$(mktemp -d "${TMPDIR:-/tmp}/millrace-kafka.XXXXXX")
trap 'bash tests/kafka/kafka.sh kill "$kafka" || true; rm -rf "$kafka"' EXIT
port=$(python3 -c 'import random; print(random.randrange(20000, 30000, 10))')
bash tests/kafka/kafka.sh format "$kafka" "$port"
bash tests/kafka/kafka.sh start "$kafka"
export MILLRACE_TEST_KAFKA=$kafka MILLRACE_TEST_KAFKA_PORT=$port
export MILLRACE_BIN=$CARGO_TARGET_DIR/debug/millrace

cargo test --workspace --no-fail-fast "$@"
