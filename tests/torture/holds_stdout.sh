#!/bin/sh
# Ends at once with 3; its child keeps stdout open.
sleep 20 &
exit 3
