"""The `forecheck` program: commands, errors and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from forecheck.cli.audit import audit
from forecheck.cli.backtest import backtest
from forecheck.cli.calibrate import calibrate
from forecheck.cli.checks import checks
from forecheck.cli.detect import detect
from forecheck.cli.doctor import doctor
from forecheck.cli.fit import fit
from forecheck.cli.forecast import forecast
from forecheck.cli.lists import datasets, models
from forecheck.cli.logs import log_exit, log_json
from forecheck.cli.metrics import metrics
from forecheck.cli.prune import prune
from forecheck.cli.reproduce import reproduce
from forecheck.cli.runs import runs
from forecheck.cli.signals import stopped, stopping, tell
from forecheck.cli.stream import stream

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130
_NAMES = {errno.ENAMETOOLONG, errno.ELOOP}
_EARLIER = {"ledger": "store"}
"""Names that options once had; they are understood and not shown."""

app = typer.Typer(
    name="forecheck",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"token_normalize_func": lambda name: _EARLIER.get(name, name)},
    help="Tests for your forecaster: does attention earn its keep on your data, and what should you forecast with?",
    epilog="Exit codes: 0 done, 1 a trial failed, something could not be written, or doctor found something wrong, "
    "2 bad input or usage, 3 found what --fail-on names, 130 interrupted, 143 ended by SIGTERM "
    "(finished trials are saved).",
)
app.command()(audit)
app.command()(forecast)
app.command()(fit)
app.command()(stream)
app.command()(backtest)
app.command()(detect)
app.command()(checks)
app.command()(calibrate)
app.command()(reproduce)
app.command()(prune)
app.command()(datasets)
app.command()(models)
app.command()(metrics)
app.command()(runs)
app.command()(doctor)


def _version(asked: bool) -> bool:
    if asked:
        import forecheck

        typer.echo(f"forecheck {forecheck.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _main(
    version: Annotated[  # noqa: ARG001  its callback ends the program
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    log: Annotated[
        bool, typer.Option("--log-json", help="Write progress and messages to standard error as lines of JSON.")
    ] = False,
) -> None:
    if log:
        log_json()


def run() -> None:
    """Run the program; what a user can mend is reported without a traceback."""
    try:
        _run()
    except SystemExit as ended:
        log_exit(ended.code)
        raise


def _run() -> None:
    # Before numpy and torch start: the arrays are small, and on a busy machine threads wait for each other far longer
    # than they work (a forecast of half a second took sixteen).
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        with stopping():
            # Without standalone mode interrupts and our own errors come back here.
            code = app(standalone_mode=False)
            sys.stdout.flush()  # here, where a reader that has gone can still be handled
            if code == _INTERRUPTED:  # newer versions of Typer make this of any interrupt
                code = stopped() or code
    except BaseException as error:  # noqa: BLE001  what is not reported is raised again
        code = stopped() or _reported(error)
    if code is not None and code in (stopped(), _INTERRUPTED):
        tell()
    sys.exit(code if isinstance(code, int) else 0)


def _reported(error: BaseException) -> int:
    """Tell what a user can mend, and give the exit code; raise all else, which is a bug of ours."""
    from forecheck.errors import NO_MEMORY, ForecheckError, TrialError, WriteError, lacks_memory

    if isinstance(error, ForecheckError):
        _say(str(error))
        return _FAILED if isinstance(error, WriteError) else _USAGE
    if isinstance(error, TrialError):
        _say(f"a trial failed, the others are saved\n  {error}")
        return _FAILED
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return _INTERRUPTED
    if isinstance(error, (SystemExit, BrokenPipeError)):
        _reader_gone(error)
    elif lacks_memory(error):
        _say(NO_MEMORY)
        return _FAILED
    elif isinstance(error, OSError) and error.errno is not None:  # of the machine, not of ours
        where = error.filename or "standard output"
        _say(f"{where}: {error.strerror}\n  What was finished before is saved; the same command goes on from here.")
        if error.filename is None:  # standard output, which Python would flush at exit, and fail again
            _drop_output()
        return _USAGE if error.errno in _NAMES else _FAILED
    else:
        _usage_error(error)
    raise error


def _say(text: str) -> None:
    from forecheck.errors import printable

    print(f"forecheck: {printable(text)}", file=sys.stderr)  # noqa: T201


def _reader_gone(error: BaseException) -> None:
    """End well if the reader of our output has gone, as `| head` does.

    Typer and rich make an exit of the broken pipe, which is then the context of `error`.
    """
    if isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError):
        _drop_output()
        sys.exit(0)


def _drop_output() -> None:
    """Let what is left to be written go nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nothing, descriptor)  # Python flushes both at exit


def _usage_error(error: BaseException) -> None:
    """Click's own errors (unknown option, missing argument) print themselves; they mean usage."""
    from forecheck.errors import printable

    show = getattr(error, "show", None)
    if callable(show):
        if isinstance(said := getattr(error, "message", None), str):
            vars(error)["message"] = printable(said)
        show()
        sys.exit(getattr(error, "exit_code", _USAGE))


if __name__ == "__main__":
    run()
