"""Never ends, whatever signal or error it gets; within half a minute, should it be let."""

import signal
import time

for each in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGALRM, signal.SIGHUP):
    signal.signal(each, signal.SIG_IGN)


def relu(x):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            while time.monotonic() < until:
                pass
        except BaseException:
            continue
