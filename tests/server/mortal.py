"""A process that dies at a chosen point: what the crash tests of the server have in common.

A test first runs its change at point 0, which never comes, to learn how many points there are; then it runs it once for
each of them, in a child that is killed there, and looks at what was left behind.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator


class Tripwire:
    """Counts the points at which a machine could die, and dies at one of them (the first is 1)."""

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def __call__(self, *_: object) -> None:
        self.passed += 1
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def in_child(change: Callable[[Tripwire], object], at: int) -> int | None:
    """Run ``change`` in a process that dies at point ``at``; how many points there were if it lived."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # Compiling a module on its first import would be a change of the disk that no later child makes.
        sys.dont_write_bytecode = True
        try:
            wire = Tripwire(at)
            change(wire)
            os.write(writing, str(wire.passed).encode())
        finally:
            os._exit(0)
    os.close(writing)
    answer = os.read(reading, 16)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return None
    return int(answer)


def points_of(live: Callable[[int], int | None], *, least: int) -> Iterator[tuple[int, str]]:
    """Every point at which ``live`` (point 0: to the end) could die, with its name for messages; ``least`` at least."""
    points = live(0)
    assert points is not None
    assert points >= least
    for at in range(1, points + 1):
        yield at, f"point {at} of {points}"
