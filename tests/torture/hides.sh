#!/bin/sh
# Stays, and hides children: one only in the session, one only in the tree.
env -i sh -c 'echo 1 > hidden.1; sleep 20' &
env -i setsid sh -c 'echo 2 > hidden.2; sleep 20' &
while [ ! -s hidden.1 ] || [ ! -s hidden.2 ]; do sleep 0.01; done
echo ready
wait
