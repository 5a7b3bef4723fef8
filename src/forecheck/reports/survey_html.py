"""A survey as offline HTML pages: the table, and every cell's own report beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from forecheck.reports import forest, html, survey
from forecheck.reports.names import distinct, plain

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Linked:
    """A cell, and where its report lies; empty if there is no such page."""

    cell: survey.Cell
    link: str


def pages(data: Json, file: str | None = None) -> dict[str, str]:
    """The pages by the names of their files, the survey first.

    Args:
        data: a survey.
        file: the name of the survey's file; without it there are no pages beside it.
    """
    done = [cell for cell in survey.cells(data) if cell.done and cell.data.get("report")]
    stem = PurePath(file).stem if file is not None else ""
    names = distinct([plain(f"{cell.model}-{cell.of}") for cell in done]) if file is not None else []
    files = {(cell.model, cell.of): f"{stem}-{name}.html" for cell, name in zip(done, names, strict=False)}
    found = {file or "": _survey(data, files)}
    return found | {files[cell.model, cell.of]: html.render(cell.data["report"]) for cell in done if files}


def _survey(data: Json, files: Mapping[tuple[str, str], str]) -> str:
    rows = [
        (model, [Linked(cell, quote(files.get((cell.model, cell.of), ""))) for cell in cells])
        for model, cells in survey.table(data)
    ]
    models, sets = len(rows), len(survey.sets(data))
    found = survey.counts(survey.cells(data))
    shown = {**data, "protocol": data.get("protocol") or {}}
    horizon = shown["protocol"].get("horizon")
    named = {"yes": "worth it", "not": "not worth it", "undecided": "undecided"}
    context = {
        "where": f"{models} models on {sets} sets" + (f", horizon {horizon}" if horizon is not None else ""),
        "head": survey.sentence(data),
        "verdict": {},
        "counts": [(word, found[name]) for name, word in named.items()],
        "said": survey.facts_sentence(data),
        "sets": survey.sets(data),
        "rows": rows,
        "sign": survey.symbol,
        "legend": survey.legend(),
        "multiplicity": survey.multiplicity(data),
        "attention": forest.of_groups(survey.drawn(data, "attention"), shown),
        "reference": forest.of_groups(survey.drawn(data, "reference"), shown),
        "environment": survey.protocol_facts(data),
    }
    return html.fill("survey.html", shown, context)
