"""A report as one offline HTML page: style, script, plots and pictures are inside the file."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from forecheck.reports import content, forest, heatmap, numbers, plots, tables
from forecheck.reports.svg import clean


def render(data: Mapping[str, Any]) -> str:
    """The page of an audit or a backtest. Everything from the user is escaped, and only our own script may run."""
    verdict = content.verdict(data)
    head, rest = _parted(str(verdict.get("sentence") or content.where(data)))
    script = _templates().get_template("script.js").render()
    data = {"protocol": {}, **data}
    page = _templates().get_template(f"{data['kind']}.html")
    return page.render(
        data=data,
        where=content.where(data),
        created=numbers.instant(data.get("created")),
        verdict=verdict,
        head=head,
        rest=rest,
        policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{_digest(script)}'",
        keys=content.keys(data),
        subjects=content.subjects(data),
        forest=forest.of_arms(data) if data["kind"] == "audit" else forest.of_pairs(data),
        # The forest plot above the table shows effects and outcomes already.
        arms=tables.without(tables.arms_table(data), ("effect on MSE", "outcome")),
        models=tables.without(tables.models_table(data), ("options",)),
        options=content.options(data),
        pairs=tables.pairs_table(data),
        borders=tables.borders_table(data),
        protocol=content.protocol_facts(data),
        horizon=plots.horizon(data),
        horizon_table=tables.horizon_table(data),
        maps=heatmap.maps(data),
        examples=plots.examples(data),
        environment=content.environment_facts(data),
    )


@functools.cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("forecheck.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        statistics=content.statistics,
        details=content.details,
        outcome_word=content.outcome_word,
        symbols=content.SYMBOLS,
        margin=numbers.margin,
    )
    return environment


def _finalize(value: Any) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, Markup) else clean(str(value))


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _parted(sentence: str) -> tuple[str, str]:
    """The sentence up to its first colon, which is set larger, and the rest; all of it if there is no early colon."""
    head, colon, rest = sentence.partition(": ")
    return (head + colon.strip(), rest) if colon and len(head) <= 60 else (sentence, "")
