#!/usr/bin/env bash
# Runs every measurement against the release binary and one real Kafka; prints one line a figure.
#   benches/run.sh [freshness|ingest|scan…]
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"
export MILLRACE_CACHE=${MILLRACE_CACHE:-$HOME/.cache/millrace}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$MILLRACE_CACHE/target}
export MILLRACE_BIN=$CARGO_TARGET_DIR/release/millrace
[ $# -gt 0 ] || set -- freshness ingest scan
cargo build --release --bin millrace --bin bench-freshness --bin bench-ingest --bin bench-scan

bash tests/kafka/kafka.sh fetch
kafka=$(mktemp -d "${TMPDIR:-/tmp}/millrace-kafka.XXXXXX")
trap 'bash tests/kafka/kafka.sh kill "$kafka" || true; rm -rf "$kafka"' EXIT
port=$(python3 -c 'import random; print(random.randrange(20000, 30000, 10))')
bash tests/kafka/kafka.sh format "$kafka" "$port"
bash tests/kafka/kafka.sh start "$kafka"
export MILLRACE_TEST_KAFKA=$kafka MILLRACE_TEST_KAFKA_PORT=$port
bin=$CARGO_TARGET_DIR/release
for name in "$@"; do
  case $name in
    freshness) "$bin/bench-freshness" 5000 60; "$bin/bench-freshness" 20000 30 ;;
    ingest) "$bin/bench-ingest" ;;
    scan) "$bin/bench-scan" ;;
    *) echo "no bench $name" >&2; exit 2 ;;
  esac
done
