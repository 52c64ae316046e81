#!/bin/sh
# The script of that name in apache/kafka.
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS:-} -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' kafka.Kafka "$@"
