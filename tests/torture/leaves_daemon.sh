#!/bin/sh
# Ends at once; leaves a process without parent, in a session of its own, with an empty environment.
(setsid env -i sh -c 'trap "" TERM; echo $$ > daemon.pid; while :; do sleep 0.2; done' &)
while [ ! -s daemon.pid ]; do sleep 0.01; done
exit 6
