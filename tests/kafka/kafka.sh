#!/usr/bin/env bash
# One real Apache Kafka broker (KRaft) on 127.0.0.1, for tests.
#
#   kafka.sh fetch           jars → $CACHE/kafka, once, through Maven
#   kafka.sh format DIR PORT new empty storage, certificates and configuration in DIR
#   kafka.sh start DIR       start; returns when it serves
#   kafka.sh stop DIR        SIGTERM, SIGKILL after 20 s, by the recorded pid
#   kafka.sh kill DIR        SIGKILL
#   kafka.sh tool DIR CLASS… a command-line class of Kafka's
#
# Listeners: PORT plaintext, PORT+1 SASL_PLAINTEXT, PORT+2 SSL, PORT+3 SASL_SSL, PORT+4 controller.
# Users: PLAIN alice/alice-secret and mallory/mallory-secret, SCRAM-SHA-256 scram/scram-secret.
# Everyone on the plaintext and SSL listeners, alice and scram may do all; mallory nothing until an ACL says so.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${MILLRACE_CACHE:-$HOME/.cache/millrace}
libs=$cache/kafka
host=127.0.0.1

java_tool() {
  local dir=$1; shift
  java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$dir/log4j2-tool.properties" -cp "$libs/*" "$@"
}

fetch() {
  [ -e "$libs/.complete" ] && return
  mvn -B -q -Dstyle.color=never -f "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$libs"
  touch "$libs/.complete"
}

log_config() { # file level OUT|ERR
  printf '%s\n' 'appender.out.type = Console' 'appender.out.name = out' "appender.out.target = SYSTEM_$3" \
    'appender.out.layout.type = PatternLayout' 'appender.out.layout.pattern = %d %p %m (%c)%n' \
    "rootLogger.level = $2" 'rootLogger.appenderRef.out.ref = out' > "$1"
}

certificates() { # a throw-away authority and a server certificate, PEM
  local d=$1/tls; mkdir -p "$d"
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test-ca -keyout "$d/ca.key" -out "$d/ca.pem" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout "$d/server.key" -out "$d/server.csr" 2>/dev/null
  openssl x509 -req -in "$d/server.csr" -CA "$d/ca.pem" -CAkey "$d/ca.key" -CAcreateserial -days 30 \
    -extfile <(echo "subjectAltName=IP:$host,DNS:localhost") -out "$d/server.pem" 2>/dev/null
  cat "$d/server.key" "$d/server.pem" "$d/ca.pem" > "$d/server-bundle.pem"
}

properties() { # dir port
  local dir=$1 p=$2 l
  local plain=PLAINTEXT://$host:$p,SASL_PLAINTEXT://$host:$((p + 1)),SSL://$host:$((p + 2)),SASL_SSL://$host:$((p + 3))
  cat <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$host:$((p + 4))
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listeners=$plain,CONTROLLER://$host:$((p + 4))
advertised.listeners=$plain
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
log.dirs=$dir/data
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256
ssl.keystore.type=PEM
ssl.keystore.location=$dir/tls/server-bundle.pem
ssl.truststore.type=PEM
ssl.truststore.location=$dir/tls/ca.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:alice;User:scram
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
log.initial.task.delay.ms=1000
log.cleaner.backoff.ms=500
log.cleaner.dedupe.buffer.size=16777216
EOF
  for l in sasl_plaintext sasl_ssl; do
    local module=org.apache.kafka.common.security
    echo "listener.name.$l.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_alice=\"alice-secret\" user_mallory=\"mallory-secret\";"
    echo "listener.name.$l.scram-sha-256.sasl.jaas.config=$module.scram.ScramLoginModule required;"
  done
}

format() { # dir port
  rm -rf "$1"; mkdir -p "$1"
  certificates "$1"
  log_config "$1/log4j2.properties" INFO OUT
  log_config "$1/log4j2-tool.properties" ERROR ERR
  properties "$1" "$2" > "$1/server.properties"
  java_tool "$1" kafka.tools.StorageTool format -t AAAAAAAAQmSAAAAAAAAAAQ -c "$1/server.properties" \
    --add-scram 'SCRAM-SHA-256=[name=scram,password=scram-secret]' > "$1/format.log" 2>&1 || { cat "$1/format.log" >&2; return 1; }
}

alive() { local p; p=$(cat "$1/pid" 2>/dev/null) && [ -e "/proc/$p" ] && grep -qz kafka.Kafka "/proc/$p/cmdline"; }

start() {
  local i
  alive "$1" && return
  : > "$1/broker.log"
  setsid java -Xms64m -Xmx512m -XX:+UseSerialGC -XX:MaxDirectMemorySize=64m -Dlog4j2.configurationFile="$1/log4j2.properties" \
    -cp "$libs/*" kafka.Kafka "$1/server.properties" > "$1/broker.log" 2>&1 < /dev/null &
  echo $! > "$1/pid"
  for i in $(seq 600); do
    grep -q 'Kafka Server started' "$1/broker.log" && return
    alive "$1" || [ "$i" -lt 10 ] || break
    sleep 0.1
  done
  tail -30 "$1/broker.log" >&2; echo "kafka did not start" >&2; return 1
}

stop() { # dir signal
  local i
  alive "$1" || return 0
  kill "-$2" "$(cat "$1/pid")"
  for i in $(seq 200); do alive "$1" || break; sleep 0.1; done
  alive "$1" && kill -KILL "$(cat "$1/pid")"
  rm -f "$1/pid"
}

case ${1:-} in
  fetch) fetch ;;
  format) fetch; format "$2" "$3" ;;
  start) start "$2" ;;
  stop) stop "$2" TERM ;;
  kill) stop "$2" KILL ;;
  tool) shift; java_tool "$@" ;;
  *) sed -n 2,15p "$0"; exit 2 ;;
esac
