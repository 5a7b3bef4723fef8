"""Disks that are full, folders that cannot be written to, and clocks that jump."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from common import PROGRAM, SMALL, Count, Place, tiny

from forecheck.trials.runs import prune

_COMMANDS = {
    "backtest": ["backtest", "waves.csv", *SMALL, *tiny(epochs=2), "--models", "last,nlinear,patchtst", "-q"],
    "fit": ["fit", "waves.csv", *SMALL, "--model", "nlinear", "-q", "-o", "small/fit"],
    "forecast": ["forecast", "waves.csv", "--horizon", "6", "--model", "nlinear", "-q", "-o", "small/out.parquet"],
    "audit": [
        "audit",
        "waves.csv",
        *SMALL,
        *tiny(epochs=2),
        "--time",
        "1s",
        "--folds",
        "1",
        "-q",
        "--html",
        "small/a.html",
    ],
}
_YEARS = 10 * 365.25 * 86400


@contextlib.contextmanager
def _small(folder: Path, size: int) -> Iterator[str]:
    """A disk of some bytes at `folder`: a mount where that is allowed, else nothing; says which."""
    folder.mkdir(parents=True)
    mounted = (
        shutil.which("mount")
        and os.geteuid() == 0
        and not subprocess.call(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "forecheck-soak", folder], stderr=subprocess.DEVNULL
        )
    )
    try:
        yield "tmpfs" if mounted else ""
    finally:
        if mounted:
            subprocess.call(["umount", "-l", folder])


def _told(count: Count, done: subprocess.CompletedProcess[str], codes: set[int]) -> None:
    """An error is one message, with an exit code that says so."""
    if done.returncode not in codes:
        count.wrong("other", f"exit code {done.returncode}: {done.args} {done.stderr}")
    if "Traceback" in done.stderr or (done.returncode and not re.match("forecheck: ", done.stderr)):
        count.wrong("other", f"{done.args}: {done.stderr}")


def full(count: Count, folder: Path, tries: int, draw: random.Random) -> None:
    """Store and outputs on a disk that gets full, then larger; where no mounts are allowed, files are limited."""
    limit = ["bash", "-c", 'ulimit -f "$0"; exec "$@"']
    for number in range(tries):
        name, command = list(_COMMANDS.items())[number % len(_COMMANDS)]
        size = int(2 ** draw.uniform(13, 19))
        place = Place(folder / str(number))
        with _small(place.root / "small", size) as kind:
            store = ["--store", "small/store", "--workers", str(number % 3)]
            if kind:
                done = place.run(*command, *store)
            else:
                process = place.start([*limit, str(max(1, size // 4096)), *PROGRAM, *command, *store])
                out, err = process.communicate()
                done = subprocess.CompletedProcess(command, process.returncode, out, err)
            count.tries += 1
            _told(count, done, {0, 1})
            place.no_orphans(count)
            _sound(count, place)
            if kind:
                subprocess.check_call(["mount", "-o", "remount,size=64m", place.root / "small"])
            again = place.run(*command, *store)
            if again.returncode:
                count.wrong("other", f"{name} after there was space again: {again.stderr}")
            _sound(count, place)
        place.remove()


def _sound(count: Count, place: Place) -> None:
    from forecheck.trials.health import check_store
    from forecheck.trials.store import Store

    for path, why in check_store(Store(place.root / "small" / "store")).damaged.items():
        count.wrong("half", f"{path}: {why}")
    for path in place.parts():
        count.wrong("rubbish", str(path))


def read_only(count: Count, folder: Path, tries: int, draw: random.Random) -> None:
    """A folder that cannot be written to, as store and for outputs: said before any work is done."""
    place = Place(folder / "0")
    with _small(place.root / "small", 2**22) as kind:
        place.run(*_COMMANDS["backtest"], "--store", "small/store")
        if kind:
            subprocess.check_call(["mount", "-o", "remount,ro", place.root / "small"])
        else:
            (place.root / "small").chmod(0o555)
            (place.root / "small" / "store").chmod(0o555)
            if os.geteuid() == 0:  # whom nothing stops
                return
        for name, command in _COMMANDS.items():
            count.tries += 1
            if name != "backtest":
                _told(count, place.run(*command), {1, 2})
            _told(count, place.run(*command, "--store", "small/store"), {1, 2})
        for command in (["runs", "--prune", "--all"], ["doctor", "-q"], ["runs"]):
            count.tries += 1
            done = place.run(*command, "--store", "small/store")
            if "Traceback" in done.stderr:
                count.wrong("other", done.stderr)
        place.no_orphans(count)
        if not kind:
            (place.root / "small").chmod(0o755)
    place.remove()


_JUMPING = """
import random, sys, time
draw, real = random.Random(int(sys.argv[1])), time.time
time.time = lambda: real() + draw.choice([-1, 0, 1]) * 3e8
from forecheck.cli import start
sys.argv = ["forecheck", *sys.argv[2:]]
start.run()
"""


def clocks(count: Count, folder: Path, tries: int, draw: random.Random) -> None:
    """The clock jumps by ten years while the program runs, and files are of the future or of 1970."""
    for number in range(tries):
        place = Place(folder / str(number))
        code = [sys.executable, "-c", _JUMPING, str(number)]
        process = place.start([*code, *_COMMANDS["backtest"], "--workers", "0"])
        _, err = process.communicate()
        count.tries += 1
        if process.returncode:
            count.wrong("other", err)
        before = {path: path.read_bytes() for path in place.store.root.rglob("result.json")}
        for path in sorted(place.store.root.rglob("*")):
            os.utime(path, (draw.choice([1, 4e9]),) * 2)
        done = place.run(*[each for each in _COMMANDS["backtest"] if each != "-q"])
        if "3 of 3 trials are in the store already" not in done.stderr:
            count.wrong("lost", done.stderr)
        for command in (["runs"], ["doctor", "-q"]):
            if (done := place.run(*command)).returncode:
                count.wrong("other", done.stderr)
        prune(place.store)
        if before != {path: path.read_bytes() for path in place.store.root.rglob("result.json")}:
            count.wrong("lost", "results of the present code were removed")
        place.remove()
