"""Who makes what of every table: this process, worker processes, or a Ray cluster; what comes back is in order."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from forecheck.cluster import Ray, RayPool
from forecheck.data.reading.pieces import Pieces
from forecheck.errors import DataError, writing
from forecheck.files import replace_file
from forecheck.forecasting.streaming.cut import served
from forecheck.forecasting.streaming.steps import Answer, Step
from forecheck.processes import Pool
from forecheck.progress import Progress
from forecheck.trials.engines.pools import AnyPool, Workers, parallel

_WORTH = 16
"""Tables (of about half a million values) from which on it is worth while to start processes unasked."""
_AT_ONCE = 8
"""Tables of a job at most: what a job that dies has to do again."""

Numbers = tuple[int, ...]


class Spread:
    """Runs steps in this process.

    Args:
        pieces: the data, divided into tables.
    """

    def __init__(self, pieces: Pieces) -> None:
        self.pieces = pieces

    def run(
        self, step: Step, progress: Progress | None = None, wanted: Collection[int] | None = None
    ) -> Iterator[Answer]:
        """What a step makes of every table, in order.

        Args:
            step: what is done.
            progress: called with the share that is done.
            wanted: numbers of the tables; None for all.

        Raises:
            DataError: if the data cannot be used as they are.
            TrialError: if workers fail.
        """
        begins = self.pieces.begins
        for each in served(self.pieces, wanted):
            yield step.run(each)
            if progress is not None:
                progress(begins[each.number + 1] / begins[-1], "")


class _Workers(Spread):
    """Runs steps in workers, which leave what they made in a folder.

    Args:
        pieces: the data, divided into tables.
        pool: whose workers read `folder`.
        folder: of this run alone, which the workers see.
        at_once: jobs that are run at once.
    """

    def __init__(self, pieces: Pieces, pool: AnyPool[Numbers], folder: Path, at_once: int) -> None:
        super().__init__(pieces)
        self._pool, self._folder, self._at_once = pool, folder, at_once
        self._steps = 0

    def run(
        self, step: Step, progress: Progress | None = None, wanted: Collection[int] | None = None
    ) -> Iterator[Answer]:
        """See `Spread.run`; nothing is handed out before all is done."""
        numbers = sorted(range(len(self.pieces.begins) - 1) if wanted is None else wanted)
        size = max(1, min(_AT_ONCE, len(numbers) // (4 * self._at_once)))
        queue = [tuple(numbers[start : start + size]) for start in range(0, len(numbers), size)]
        self._steps += 1
        folder = self._folder / f"step-{self._steps}"
        with writing(folder):
            folder.mkdir()
            (folder / _STEP).write_text(json.dumps(step.described(folder)), encoding="utf-8")
        self._pool.run(queue, _Jobs(folder.name, len(numbers), progress))
        for number in numbers:
            yield read_answer(folder, number)
            answer_file(folder, number).unlink()


@dataclass
class _Jobs:
    """What a pool has to know of tables that are to be read."""

    step: str
    total: int
    watch: Progress | None
    done: int = 0

    def message(self, job: Numbers) -> dict[str, Any]:
        return {"step": self.step, "numbers": job}

    def label(self, job: Numbers) -> str:
        return f"tables {job[0]} to {job[-1]}" if len(job) > 1 else f"table {job[0]}"

    def ready(self, job: Numbers) -> bool:
        del job
        return True

    def progressed(self, job: Numbers, fraction: float, word: str) -> None:
        """Jobs are short."""

    def finished(self, job: Numbers, answer: Any) -> None:
        if answer is not None:
            raise DataError(*answer)
        self.done += len(job)
        if self.watch is not None:
            self.watch(self.done / self.total, "")


@contextmanager
def spread_over(pieces: Pieces, place: Path, workers: Workers) -> Iterator[Spread]:
    """Who reads the tables, while a `with` block lasts.

    Args:
        pieces: the data, divided into tables.
        place: folder of the forecasts, where workers leave what they made until it is read.
        workers: processes; None for one a core where that is worth while, 0 for this process; or a Ray cluster, whose
            machines have to see data and folder under the same names.

    Raises:
        WriteError: if the folder cannot be written to.
    """
    few = workers is None and len(pieces.begins) <= _WORTH
    if few or workers == 0:
        yield Spread(pieces)
        return
    new = not place.exists()
    folder = place.resolve() / f".work.{secrets.token_hex(8)}.part"
    with writing(folder):
        folder.mkdir(parents=True)
        (folder / PIECES).write_text(json.dumps(pieces.to_dict()), encoding="utf-8")
    try:
        with _pool(workers, str(folder)) as pool:
            yield _Workers(pieces, pool, folder, parallel(workers))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if new:
            with suppress(OSError):  # a fit or forecasts are there
                place.rmdir()


def _pool(workers: Workers, folder: str) -> AnyPool[Numbers]:
    module = "forecheck.forecasting.streaming.worker"
    if isinstance(workers, Ray):
        return RayPool(workers, module, folder, shared=True)
    return Pool(module, [folder], workers)


PIECES = "pieces.json"
_STEP = "step.json"


def answer_file(folder: Path, number: int) -> Path:
    """Where the answer of a table lies."""
    return folder / f"{number}.safetensors"


def write_answer(folder: Path, answer: Answer) -> None:
    """Leave an answer for the process that asked."""
    arrays = {name: np.ascontiguousarray(array) for name, array in answer.arrays.items()}
    facts = {"facts": json.dumps(answer.facts)}
    replace_file(answer_file(folder, answer.number), lambda part: save_file(arrays, part, facts))


def read_answer(folder: Path, number: int) -> Answer:
    """What `write_answer` left."""
    with safe_open(answer_file(folder, number), "numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        return Answer(number, arrays, json.loads(file.metadata()["facts"]))


def read_step(folder: Path) -> dict[str, Any]:
    """What `Step.described` gave."""
    found: dict[str, Any] = json.loads((folder / _STEP).read_text(encoding="utf-8"))
    return found
