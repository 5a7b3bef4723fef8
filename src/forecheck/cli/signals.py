"""What Ctrl-C, a request to end and a closed terminal mean: the run stops, and what is finished is saved."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

_MESSAGE = "forecheck: interrupted; finished trials are saved, the same command goes on from here"
# There is no SIGHUP everywhere.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_CURSOR = "\x1b[?25h"


class _State:
    """Of this process: whether a command runs that has to be stopped in order, and the signal that stopped it."""

    working = False
    stopped: int | None = None


def catch() -> None:
    """Handle the signals from now on, but for those that whoever started the program has set to be ignored."""
    for number in _SIGNALS:
        with contextlib.suppress(ValueError):  # not the main thread, whose business signals are
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _stop)


def ignore() -> None:
    """Ignore them: all is done, and Python, on its way out, would die of one."""
    for number in _SIGNALS:
        with contextlib.suppress(ValueError):
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """While a `with` block runs, the first signal is a KeyboardInterrupt in it; else it ends the program."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    _State.stopped = None
    catch()
    _State.working = True
    try:
        yield
    finally:
        _State.working = False
        if _State.stopped is None:  # of one that was stopped, the program is about to end
            with contextlib.suppress(ValueError):
                for number, handler in before.items():
                    signal.signal(number, handler)


def stopped() -> int | None:
    """The exit code if a signal stopped the command: 128 and the signal's number, as shells have it."""
    return None if _State.stopped is None else 128 + _State.stopped


def tell() -> None:
    """Say that it was interrupted."""
    print(_MESSAGE, file=sys.stderr, flush=True)  # noqa: T201


def _stop(number: int, frame: FrameType | None) -> None:
    again, _State.stopped = _State.stopped is not None, number
    # An interrupt amid an import comes out as any error, or not at all.
    if again or not _State.working or _importing(frame):
        _leave(number, quiet=again)
    raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave(number: int, *, quiet: bool) -> NoReturn:
    """End at once; worker processes notice, and what is half written is not found by anybody."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, _CURSOR.encode())
        if not quiet:
            os.write(2, f"{_MESSAGE}\n".encode())
    os._exit(128 + number)
