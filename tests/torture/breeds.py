#!/usr/bin/env python3
"""Keeps thirty children alive: whoever kills one sees another. Ends by itself after 20 seconds."""

import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.monotonic() + 20
children = 0
while time.monotonic() < end:
    if children < 30:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        children += 1
    else:
        os.wait()
        children -= 1
