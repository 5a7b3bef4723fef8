"""A worker process that runs parts of experiments; its argument is the store's folder."""

from __future__ import annotations

from typing import Any

from forecheck.papers.catalogue import find_paper
from forecheck.papers.experiment import Experiment, Part
from forecheck.papers.part import run_part
from forecheck.progress import Progress
from forecheck.trials.engines.worker import Job, serve_store
from forecheck.trials.store import Store


def start(folder: str) -> Job:
    """What runs a part on a store in a folder, and gives why it cannot be run here, if so."""
    store = Store(folder)

    def run(message: dict[str, Any], progress: Progress) -> str:
        experiment = find_experiment(message["paper"], message["experiment"])
        return run_part(message["paper"], Part(experiment, message["settings"]), store, progress)

    return run


def find_experiment(paper: str, name: str) -> Experiment:
    """An experiment of a paper by name."""
    return next(each for claim in find_paper(paper).claims for each in claim.experiments if each.name == name)


if __name__ == "__main__":
    serve_store(start)
