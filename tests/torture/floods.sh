#!/bin/sh
# Writes $1 MiB of zeros between a first and a last line, then waits for the file `go`.
echo first line
dd if=/dev/zero bs=1M count="$1" 2>/dev/null
echo last line
echo done > flooded
while [ ! -e go ]; do sleep 0.01; done
