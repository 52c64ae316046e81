#!/bin/sh
# The script of that name in apache/kafka.
exec /opt/java/bin/java -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*' kafka.tools.StorageTool "$@"
