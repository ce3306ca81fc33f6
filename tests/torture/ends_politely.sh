#!/bin/sh
# Ends with 3 on INT and with 4 on TERM.
trap 'exit 3' INT
trap 'exit 4' TERM
echo ready
while :; do sleep 0.05; done
