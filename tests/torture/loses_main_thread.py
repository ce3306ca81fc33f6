#!/usr/bin/env python3
"""Its main thread ends, another one goes on: the kernel shows such a process as a zombie."""

import ctypes
import threading
import time

threading.Thread(target=time.sleep, args=(20,)).start()
print("ready", flush=True)
ctypes.CDLL(None).pthread_exit(None)
