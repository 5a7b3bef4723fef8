"""A worker process that runs parts of experiments; its argument is the ledger's folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forecheck.papers.catalogue import find_paper
from forecheck.papers.experiment import Experiment, Part
from forecheck.papers.part import run_part
from forecheck.processes import serve
from forecheck.progress import Progress
from forecheck.trials.ledger import Ledger


def start() -> Callable[[dict[str, Any], Progress], str]:
    """What runs a part, and gives why it cannot be run here, if so."""
    import torch

    torch.set_num_threads(1)
    ledger = Ledger(Path(sys.argv[1]))

    def run(message: dict[str, Any], told: Progress) -> str:
        experiment = find_experiment(message["paper"], message["experiment"])
        return run_part(message["paper"], Part(experiment, message["settings"]), ledger, told)

    return run


def find_experiment(paper: str, name: str) -> Experiment:
    """An experiment of a paper by name."""
    return next(each for claim in find_paper(paper).claims for each in claim.experiments if each.name == name)


if __name__ == "__main__":
    serve(start)
