"""A worker process that reads tables of a stream; its argument is the folder that `spread` made."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from forecheck.data.reading.pieces import Pieces
from forecheck.errors import ForecheckError
from forecheck.forecasting.streaming.cut import served
from forecheck.forecasting.streaming.spread import PIECES, read_step, write_answer
from forecheck.forecasting.streaming.steps import step_of
from forecheck.progress import Progress
from forecheck.trials.engines.worker import Job, serve_store


def start(folder: str) -> Job:
    """What runs a step on some tables; it gives why they are refused (message and remedy), if so."""
    place = Path(folder)
    pieces = Pieces.of(json.loads((place / PIECES).read_text(encoding="utf-8")))
    step = cache(lambda name: step_of(read_step(place / name), place / name))

    def run(message: dict[str, Any], progress: Progress) -> list[str] | None:
        wanted = message["numbers"]
        try:
            for done, each in enumerate(served(pieces, wanted)):
                write_answer(place / message["step"], step(message["step"]).run(each))
                progress((done + 1) / len(wanted), "")
        except ForecheckError as error:
            return [error.message, error.remedy]
        return None

    return run


if __name__ == "__main__":
    serve_store(start)
