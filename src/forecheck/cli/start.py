"""The entry of the program: an interrupt ends it well before anything is loaded, and after all is done."""

import os
import signal

_INTERRUPTED = 130


def run() -> None:
    """Run the program."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))  # nothing is begun yet
    from forecheck.cli import signals

    signals.catch()
    from forecheck.cli.main import run as run_command

    try:
        run_command()
    finally:
        signals.ignore()


if __name__ == "__main__":
    run()
