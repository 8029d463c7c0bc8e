"""Leaves a process in a session of its own behind, and never ends; within half a minute."""

import os
import time

if os.fork() == 0:
    os.setsid()
    os.fork()
    time.sleep(30)
    os._exit(0)
time.sleep(30)
