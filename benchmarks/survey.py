"""What attention is worth, by intervention: models with attention on the standard sets, one audit a cell.

    FORECHECK_DATA=folder python benchmarks/survey.py [--time 20m] [--models patchtst samformer] [--sets ETTh1]
        [--horizons 96 336] [--budget quick] [--minutes 240]

Every cell is kept in docs/results/survey.json as soon as it is done, and docs/results/survey.md is written again: stop
it whenever you like, and the same command goes on. Cells that were run with other settings (budget, time), or have no
verdict yet, are run again; trials that are in the store are not. PatchTST comes first on all sets, then the other
models, at the first horizon; then the same at the next.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import forecheck as fc
from forecheck.auditing.survey import Cell, assemble, run_cell
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.files import replace_file
from forecheck.reports import survey
from forecheck.reports.markdown import facts
from forecheck.reports.plain import dumps, plain
from forecheck.reports.survey_markdown import cell_lines, table_blocks

RESULTS = Path(__file__).parents[1] / "docs" / "results"
SETS = ("ETTh1", "ETTh2", "weather", "exchange_rate")
FIRST = ("patchtst", "itransformer", "samformer", "transformer")
HORIZONS = (96, 336)
# What a page needs of an audit; the rest (findings, arms, examples) is large and comes back from the store.
_OF_VERDICT = ("worth", "outcome", "question", "effect", "interval", "margin", "reference", "sentence", "why", "advice")
_OF_PROTOCOL = (
    "lookback",
    "horizon",
    "seeds",
    "seconds",
    "margin",
    "level",
    "budget",
    "step",
    "looks",
    "time",
    "folds",
)

ABOUT = """\
Every cell is one audit (`forecheck audit SET --model MODEL`): the model is trained with its attention and with it
replaced, over several seeds, and compared on all test windows; and with the best simple reference, chosen on
validation. The script goes on with cells that were not run."""

Json = dict[str, Any]
Audit = Callable[[Panel, str, int], Json]


def audited_models() -> list[str]:
    """Forecasters with attention that an audit reaches, those that people ask for first."""
    names = [model["model"] for model in fc.models() if model["attention"]]
    return sorted(names, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))


def shortened(report: Json) -> Json:
    """A report without what the page does not need."""
    findings = [
        {key: finding.get(key) for key in ("code", "family", "p_values")}
        for finding in report["findings"]
        if finding.get("p_values") and finding["family"] in ("retrained", "post-hoc")
    ]
    return {
        "verdict": {key: report["verdict"].get(key) for key in _OF_VERDICT},
        "protocol": {key: report["protocol"].get(key) for key in _OF_PROTOCOL},
        "findings": findings,
        "arms": [{"family": "raw", "mse": arm["mse"]} for arm in report["arms"] if arm["family"] == "raw"],
        "environment": report["environment"],
    }


def run(
    models: Sequence[str],
    sets: Sequence[str],
    horizons: Sequence[int],
    audit: Audit,
    settings: Json,
    out: Path,
    minutes: float = float("inf"),
) -> None:
    """Run what is left, and write both files after every cell.

    Args:
        models: names of forecasters, in the order they are run.
        sets: names of data sets, or files.
        horizons: H; all cells of one before those of the next.
        audit: gives the report of a model on a panel at a horizon.
        settings: what every audit is run with; kept with the cell.
        out: folder of survey.md and survey.json.
        minutes: start no new cell after so many.
    """
    path = out / "survey.json"
    kept: list[Json] = json.loads(path.read_text())["cells"] if path.exists() else []
    panels = {name: load(name) for name in sets}
    started = time.monotonic()
    for horizon in horizons:
        for model in models:
            for name in sets:
                place = {"horizon": horizon, "model": model, "set": name}
                old = [cell for cell in kept if place.items() <= cell.items()]
                if any(cell["state"] == "done" and cell["settings"] == settings for cell in old):
                    continue
                if time.monotonic() - started > 60 * minutes:
                    return
                found = run_cell(model, name, lambda model, of, horizon=horizon: audit(panels[of], model, horizon))
                cell = place | {"state": found.state, "why": found.why, "remedy": found.remedy, "settings": settings}
                cell["report"] = plain(shortened(found.report)) if found.report is not None else None
                kept = [cell if each in old else each for each in kept] if old else [*kept, cell]
                write(kept, out)
                worth = cell["report"]["verdict"]["worth"] if cell["report"] else f"{found.state}: {found.why}"
                print(horizon, model, name, worth, flush=True)


def write(kept: Sequence[Json], out: Path) -> None:
    """Both files, whole or not at all."""
    replace_file(out / "survey.json", lambda part: _put(part, dumps({"cells": list(kept)})))
    replace_file(out / "survey.md", lambda part: _put(part, page(kept)))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def page(kept: Sequence[Json]) -> str:
    """The cells as a page: a table a horizon, then what every audit says."""
    settings = kept[-1]["settings"]
    told = " ".join(f"--{name} {value}" for name, value in settings.items() if value is not None)
    blocks = [
        "# What attention is worth",
        f"```console\nFORECHECK_DATA=folder python benchmarks/survey.py {told}\n```",
        ABOUT,
    ]
    horizons = list(dict.fromkeys(cell["horizon"] for cell in kept))
    surveys = [(horizon, at_horizon(kept, horizon)) for horizon in horizons]
    for horizon, data in surveys:
        blocks += [f"## Horizon {horizon}", survey.sentence(data), *table_blocks(data)]
    for horizon, data in surveys:
        blocks += [f"## Every audit, horizon {horizon}", cell_lines(data)]
    blocks += ["## How it was run", facts(survey.protocol_facts(surveys[0][1]))]
    mixed = {json.dumps(cell["settings"]) for cell in kept}
    if len(mixed) > 1:
        blocks.append("Cells were run with different settings: " + "; ".join(sorted(mixed)) + ".")
    return "\n\n".join(block for block in blocks if block) + "\n"


def at_horizon(kept: Sequence[Json], horizon: int) -> Json:
    """The survey of one horizon: all models and sets that any horizon has."""
    models = list(dict.fromkeys(cell["model"] for cell in kept))
    sets = list(dict.fromkeys(cell["set"] for cell in kept))
    cells = [
        Cell(cell["model"], cell["set"], cell["state"], cell["why"], cell["remedy"], cell["report"])
        for cell in kept
        if cell["horizon"] == horizon
    ]
    return assemble(models, sets, cells)


def main() -> None:
    known = audited_models()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=known, choices=known)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--horizons", nargs="+", type=int, default=list(HORIZONS))
    parser.add_argument(
        "--time", default="20m", help="of one cell: seeds are added until it is decided or this is spent"
    )
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no new cell after so many")
    parser.add_argument("--workers", type=int, help="processes; one a core if not given")
    parser.add_argument("--store", type=Path, help="folder of fits; the user's cache if not given")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of survey.md and survey.json")
    args = parser.parse_args()
    settings = {"budget": args.budget, "time": args.time}

    def audit(panel: Panel, model: str, horizon: int) -> Json:
        return fc.audit(panel, model, horizon=horizon, workers=args.workers, store=args.store, **settings).data

    run(args.models, args.sets, args.horizons, audit, settings, args.out, args.minutes)


if __name__ == "__main__":
    main()
