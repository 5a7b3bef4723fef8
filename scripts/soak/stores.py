"""Eight processes on one store, and bits that flip in every kind of file."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import PROGRAM, SMALL, Count, Place, tiny

from forecheck.errors import ForecheckError
from forecheck.forecasting.saved import load_fit
from forecheck.trials.health import check_store
from forecheck.trials.record import read_record

_BACKTEST = ["backtest", "waves.csv", *SMALL, *tiny(epochs=2), "--models", "last,nlinear,dlinear,patchtst", "-q"]


def eight(count: Count, folder: Path, tries: int, draw: random.Random) -> None:
    """Eight processes run the same backtest at once, and two more prune all that nobody uses meanwhile."""
    for number in range(tries):
        place = Place(folder / str(number))
        prune = [*PROGRAM, "runs", "--prune", "--all"]
        backtests = [
            place.start([*PROGRAM, *_BACKTEST, "--workers", str(each % 2), "--json", f"{each}.json"])
            for each in range(8)
        ]
        prunes = [place.start(prune) for _ in range(2)]
        count.tries += 1
        for process in backtests + prunes:
            _, err = process.communicate()
            if process.returncode:
                count.wrong("other", err)
        found = [_losses(place.root / f"{each}.json") for each in range(8)]
        if any(each != found[0] for each in found):
            count.wrong("other", f"processes found different losses: {found}")
        place.no_orphans(count)
        place.no_damage(count)
        for path in place.parts():
            count.wrong("rubbish", str(path))
        place.remove()


def _losses(path: Path) -> list[tuple[str, float]]:
    rows = json.loads(path.read_text())["table"]
    return sorted((each["model"], each["mse"]) for each in rows)


def damages(content: bytes, draw: random.Random) -> Iterator[bytes]:
    """A flipped bit, a truncation, a hole of zeros, and bytes that were doubled."""
    at, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
    yield content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
    yield content[:at]
    end = min(len(content), at + draw.randrange(1, 600))
    yield content[:at] + bytes(end - at) + content[end:]
    yield content[:at] + content[at:end] + content[at:]


def flips(count: Count, folder: Path, tries: int, draw: random.Random) -> None:
    """Files of a store and of a fit are damaged: each is either refused or still says what it said."""
    place = Place(folder / "0")
    place.run("audit", "waves.csv", *SMALL, *tiny(epochs=2), "--time", "1s", "--folds", "1", "-q", "--json", "a.json")
    place.run("fit", "waves.csv", *SMALL, *tiny(epochs=2), "--model", "patchtst", "-q", "-o", "fit")
    files = [path for path in sorted(place.store.root.rglob("*")) if path.is_file() and path.name != "lock"]
    for number in range(tries):
        _flip_store(count, draw.choice(files), draw)
        _flip_fit(count, place.root / "fit", folder / f"copy{number}", draw)
    if found := check_store(place.store).damaged:
        count.wrong("other", f"{found}")
    # One file of each name, damaged all at once, is made anew by the next run.
    for path in {path.name: path for path in files}.values():
        path.write_bytes(next(damages(path.read_bytes(), draw)))
    again = place.run("audit", "waves.csv", *SMALL, *tiny(epochs=2), "--time", "1s", "--folds", "1", "-q")
    if again.returncode:
        count.wrong("other", again.stderr)
    place.run("doctor", "--mend", "-q")
    place.no_damage(count)
    place.remove()


def _flip_store(count: Count, path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    folder = path
    while not (folder / "result.json").exists():
        folder = folder.parent
    before = read_record(folder)
    for changed in damages(content, draw):
        count.tries += 1
        path.write_bytes(changed)
        record = read_record(folder)
        if record is not None and record.whole(folder) and changed != content:
            count.wrong("half", f"{path} was changed and is believed")
    path.write_bytes(content)
    if read_record(folder) != before:
        count.wrong("other", f"{path} is not believed as it was")


def _flip_fit(count: Count, fit: Path, copy: Path, draw: random.Random) -> None:
    shutil.copytree(fit, copy)
    path = draw.choice(sorted(copy.iterdir()))
    content = path.read_bytes()
    weights = {name: np.asarray(value) for name, value in load_fit(fit).forecaster.tensors().items()}
    for changed in damages(content, draw):
        count.tries += 1
        path.write_bytes(changed)
        try:
            found = load_fit(copy).forecaster.tensors()
        except ForecheckError:
            continue
        if changed != content and any((np.asarray(found[name]) != value).any() for name, value in weights.items()):
            count.wrong("half", f"{path} was changed and is believed")
    shutil.rmtree(copy)
