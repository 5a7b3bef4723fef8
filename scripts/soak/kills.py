"""`kill -9` at moments that are drawn: of the program while it audits, fits and forecasts, and of single writes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common import PROGRAM, SMALL, Count, Place, tiny

from forecheck.errors import ForecheckError
from forecheck.forecasting.saved import load_fit
from forecheck.trials.health import check_store
from forecheck.trials.record import read_record


def _kill(process: subprocess.Popen[str], seconds: float) -> str:
    """Kill a process after some time; what it had printed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.communicate()[0]


def _trials(place: Place) -> dict[Path, int]:
    """Finished trials with the time at which each was written."""
    return {path: path.stat().st_mtime_ns for path in (place.store.root / "trial").glob("*/[!.]*/result.json")}


def _program(
    count: Count, folder: Path, kills: int, draw: random.Random, command: list[str], check: Callable[[Path], str]
) -> None:
    """Kill a command again and again; it goes on where it was, and begins anew in another folder once it is done.

    Args:
        count: of what went wrong.
        folder: for everything.
        kills: how many.
        draw: the moments.
        command: of the program.
        check: of a folder in which it was killed or has ended, what is wrong with what it wrote.
    """
    whole = Place(folder / "whole")
    started = time.monotonic()
    done = whole.run(*command)
    seconds = time.monotonic() - started
    if done.returncode:
        count.wrong("other", done.stderr)
        return
    place, number = Place(folder / "0"), 0
    while count.tries < kills:
        before = _trials(place)
        process = place.start([*PROGRAM, *command])
        _kill(process, draw.uniform(0.3, seconds))
        place.no_orphans(count)
        place.no_damage(count)
        if wrong := check(place.root):
            count.wrong("half", wrong)
        after = _trials(place)
        for path, written in before.items():
            if after.get(path) != written:
                count.wrong("lost", f"{path} was there and was made again")
        if process.returncode == -signal.SIGKILL:
            count.tries += 1
            continue
        _ended(count, place, process.returncode, whole)
        number += 1
        place = Place(folder / str(number))
    done = place.run(*command)
    _ended(count, place, done.returncode, whole)
    if wrong := check(place.root):
        count.wrong("half", wrong)


def _ended(count: Count, place: Place, code: int, whole: Place) -> None:
    """A command that came to its end, also after kills, found what one that was not killed finds."""
    if code:
        count.wrong("other", f"exit code {code}")
    for path in _trials(place):
        other = whole.store.root / path.relative_to(place.store.root)
        arrays = [each.with_name("arrays.safetensors") for each in (path, other)]
        if other.exists() and arrays[0].read_bytes() != arrays[1].read_bytes():
            count.wrong("other", f"{path} differs from that of a run that was not killed")
    place.no_rubbish(count)
    place.remove()


def audits(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """An audit with two worker processes."""

    def check(place: Path) -> str:
        try:
            json.loads((place / "audit.json").read_text())
        except FileNotFoundError:
            return ""
        except ValueError as error:
            return f"audit.json: {error}"
        return ""

    command = ["audit", "waves.csv", *SMALL, *tiny(epochs=8), "--time", "1s", "--folds", "1", "--select", "FC2"]
    _program(count, folder, kills, draw, [*command, "--workers", "2", "-q", "--json", "audit.json"], check)


def fits(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """Training with checkpoints, and the folder of the fit."""

    def check(place: Path) -> str:
        try:
            load_fit(place / "fit")
        except ForecheckError as error:
            return str(error) if (place / "fit").exists() else ""
        return ""

    command = ["fit", "waves.csv", *SMALL, *tiny(epochs=40, patience=40), "--model", "patchtst", "--workers", "1"]
    _program(count, folder, kills, draw, [*command, "-q", "-o", "fit"], check)


def forecasts(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """A forecast that is written as Parquet."""

    def check(place: Path) -> str:
        import pyarrow.parquet

        try:
            table = pyarrow.parquet.read_table(place / "out.parquet")
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            return f"out.parquet: {error}"
        return "" if len(table) == 12 else f"out.parquet has {len(table)} rows"

    command = ["forecast", "waves.csv", "--horizon", "6", "--model", "nlinear", "--workers", "0", "-q"]
    _program(count, folder, kills, draw, [*command, "-o", "out.parquet"], check)


_STORE = """
import sys
from pathlib import Path
import numpy as np
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial

class Model:
    def save(self, folder):
        folder.mkdir()
        for name in "abc":
            (folder / name).write_bytes(bytes(50_000))

store, number = Store(Path("home/store")), int(sys.argv[1])
print("ready", flush=True)
while True:
    trial = Trial("f" * 64, "70/10/20", 48, 12, "last", {}, 24, seed=number)
    store.put(trial, {"number": number}, {"mse": np.full(20_000, number)}, Model())
    print(trial.address, flush=True)
    number += 1
"""
_OUTPUT = """
import pyarrow as pa, pyarrow.parquet
from pathlib import Path
from forecheck.outputs import write_output

print("ready", flush=True)
number = 0
while True:
    number += 1
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table({"y": [number] * 50_000}), sink)
    write_output(Path("out.parquet"), sink.getvalue().to_pybytes())
    print(number, flush=True)
"""
_FOLDER = """
from pathlib import Path
from forecheck.outputs import update_folder

print("ready", flush=True)
number = 0
while True:
    number += 1
    def write(part):
        for name in "abcd":
            (part / name).write_text(str(number) * 20_000)
    Path("fit").mkdir(exist_ok=True)
    update_folder(Path("fit"), write)
    print(number, flush=True)
"""
_PRUNE = """
from dataclasses import replace
from pathlib import Path
import numpy as np
from forecheck.trials.runs import prune
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial

store = Store(Path("home/store"))
for seed in range(10):
    trial = Trial("f" * 64, "70/10/20", 48, 12, "last", {}, 24, seed=seed)
    store.put(trial, {}, {"mse": np.ones(100)})
for number in range(40):
    key = replace(trial.key, address=f"{number:032x}"[::-1])
    store.write(key, {}, lambda folder: (folder / "arrays.safetensors").write_bytes(bytes(100_000)))
print("ready", flush=True)
prune(Store(Path("home/store")))
print("done", flush=True)
"""


def _child(place: Place, code: str, seconds: float, *arguments: str) -> list[str]:
    """Run code until it is ready and then for some time; the lines that it printed."""
    process = place.start([sys.executable, "-c", code, *arguments])
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == "ready\n", process.communicate()
    return _kill(process, seconds).split()


def stores(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """Results with files are put in a store."""
    place, promised = Place(folder / "0"), set()
    while count.tries < kills:
        promised |= set(_child(place, _STORE, draw.uniform(0, 0.1), str(1000 * count.tries)))
        count.tries += 1
        for address in promised:
            record = read_record(place.store.place("trial", address))
            if record is None or not record.whole(place.store.place("trial", address)):
                count.wrong("lost", f"trial {address} was written")
        place.no_damage(count)
    place.no_rubbish(count)
    place.remove()


def outputs(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """A Parquet file is written over again and again."""
    import pyarrow.parquet

    place = Place(folder / "0")
    while count.tries < kills:
        (place.root / "out.parquet").unlink(missing_ok=True)
        written = _child(place, _OUTPUT, draw.uniform(0, 0.1))
        count.tries += 1
        if not (place.root / "out.parquet").exists():
            if written:
                count.wrong("lost", "the file is gone")
            continue
        try:
            numbers = set(pyarrow.parquet.read_table(place.root / "out.parquet")["y"].to_pylist())
        except (OSError, ValueError) as error:
            count.wrong("half", str(error))
            continue
        if len(numbers) != 1 or int(max(written, key=int, default="0")) > max(numbers):
            count.wrong("half", f"{numbers} after {written[-1:]}")
    for part in place.parts():  # what a kill left goes with the first write after a day
        os.utime(part, (1, 1))
    _child(place, _OUTPUT, 0.3)
    if left := [part for part in place.parts() if part.stat().st_mtime < 1e6]:
        count.wrong("rubbish", f"{len(left)} files")
    place.remove()


def folders(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """The files of a saved fit are replaced together."""
    from forecheck.outputs import finish_update

    place = Place(folder / "0")
    while count.tries < kills:
        written = _child(place, _FOLDER, draw.uniform(0, 0.1))
        count.tries += 1
        if not (place.root / "fit").exists():
            continue
        finish_update(place.root / "fit")
        held = {path.name: path.read_text() for path in (place.root / "fit").glob("[!.]*")}
        if held and (len(set(held.values())) != 1 or len(held) != 4):
            count.wrong("half", f"files of several fits: {[(name, text[:5]) for name, text in held.items()]}")
        if written and not held:
            count.wrong("lost", "the folder is empty")
    place.remove()


def prunes(count: Count, folder: Path, kills: int, draw: random.Random) -> None:
    """Results that are of no use are removed."""
    while count.tries < kills:
        place = Place(folder / str(count.tries))
        _child(place, _PRUNE, draw.uniform(0, 0.05))
        count.tries += 1
        found = check_store(place.store)
        for path, why in found.damaged.items():
            count.wrong("half", f"{path}: {why}")
        place.no_rubbish(count)
        if (left := check_store(place.store).results) != 10:
            count.wrong("lost" if left < 10 else "rubbish", f"{left} results instead of 10")
        place.remove()
