"""The `forecheck` program: commands, errors and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from forecheck.cli.audit import audit
from forecheck.cli.backtest import backtest
from forecheck.cli.calibrate import calibrate
from forecheck.cli.checks import checks
from forecheck.cli.fit import fit
from forecheck.cli.forecast import forecast
from forecheck.cli.lists import datasets, models
from forecheck.cli.reproduce import reproduce
from forecheck.cli.runs import runs

_INTERRUPTED = 130
_EARLIER = {"ledger": "store"}
"""Names that options once had; they are understood and not shown."""

app = typer.Typer(
    name="forecheck",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"token_normalize_func": lambda name: _EARLIER.get(name, name)},
    help="Tests for your forecaster: does attention earn its keep on your data, and what should you forecast with?",
    epilog="Exit codes: 0 done, 1 a trial failed, 2 bad input or usage, 3 found what --fail-on names, 130 interrupted "
    "(finished trials are kept).",
)
app.command()(audit)
app.command()(forecast)
app.command()(fit)
app.command()(backtest)
app.command()(checks)
app.command()(calibrate)
app.command()(reproduce)
app.command()(datasets)
app.command()(models)
app.command()(runs)


def _version(asked: bool) -> bool:
    if asked:
        import forecheck

        typer.echo(f"forecheck {forecheck.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the program; what a user can mend is told without a traceback."""
    from forecheck.errors import ForecheckError, TrialError

    # Before numpy and torch start: the arrays are small, and on a busy machine threads wait for each other far longer
    # than they work (a forecast of half a second took sixteen).
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    try:
        # Without standalone mode interrupts and our own errors come back here.
        code = app(standalone_mode=False)
        sys.stdout.flush()  # here, where a reader that has gone can still be handled
    except ForecheckError as error:
        print(f"forecheck: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except TrialError as error:
        print(f"forecheck: a trial failed, the others are kept\n  {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except (SystemExit, BrokenPipeError) as error:
        _reader_gone(error)
        raise
    except Exception as error:
        _usage_error(error)
        raise
    if code == _INTERRUPTED:  # newer versions of Typer make this of an interrupt
        print("forecheck: interrupted; finished trials are kept, the same command goes on from here", file=sys.stderr)  # noqa: T201
    sys.exit(code if isinstance(code, int) else 0)


def _reader_gone(error: BaseException) -> None:
    """End well if the reader of our output has gone, as `| head` does.

    Typer and rich make an exit of the broken pipe, which is then the context of `error`.
    """
    if isinstance(error.__context__ if isinstance(error, SystemExit) else error, BrokenPipeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nothing, stream)  # Python flushes both at exit
        sys.exit(0)


def _usage_error(error: Exception) -> None:
    """Click's own errors (unknown option, missing argument) print themselves; they mean usage."""
    show = getattr(error, "show", None)
    if callable(show):
        show()
        sys.exit(getattr(error, "exit_code", 2))


if __name__ == "__main__":
    run()
