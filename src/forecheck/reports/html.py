"""A report as one offline HTML page: style, script, plots and pictures are inside the file."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from forecheck.reports import charts, content, forest, headline, heatmap, numbers, plots, tables
from forecheck.reports.svg import clean

MOST_URGENT = 12
# The arms of these families stand on the overview; those of the others on the pages of their findings.
CHIEF_ARMS = ("retrained", "post-hoc", "reference")


@dataclass(frozen=True)
class Page:
    """An entry of the navigation: a page, or one of several below it."""

    id: str
    title: str
    count: int = 0
    worst: str = "info"
    inner: bool = False


@dataclass(frozen=True)
class Arms:
    """The arms on the page of a family."""

    forest: forest.Forest | None
    table: tables.Table


def render(data: Mapping[str, Any]) -> str:
    """The page of an audit or a backtest."""
    verdict = content.verdict(data)
    head, rest = headline.parted(data)
    data = {"protocol": {}, **data}
    shared = {
        "where": content.where(data),
        "verdict": verdict,
        "head": head,
        "rest": rest,
        "key_numbers": content.keys(data),
        "search": headline.search_table(data),
        "borders": tables.borders_table(data),
        "protocol": content.protocol_facts(data),
        "sites": tables.sites_table(data),
        "horizon": plots.horizon(data),
        "horizon_table": tables.horizon_table(data),
        "environment": content.environment_facts(data),
    }
    special = _audit(data) if data["kind"] == "audit" else _backtest(data)
    return fill(f"{data['kind']}.html", data, shared | special | {"pages": _pages(special, shared)})


def fill(
    template: str,
    data: Mapping[str, Any],
    context: Mapping[str, Any],
    package: str = __package__,
    script: str = "script.js",
) -> str:
    """A page from a template. Everything from the user is escaped, and only our own script may run.

    Args:
        template: file name.
        data: the report.
        context: what the template is given beside it.
        package: whose templates are looked through first, before ours.
        script: file name of the page's script.
    """
    templates = _templates(package)
    script = templates.get_template(script).render()
    shared = {
        "data": data,
        "created": numbers.instant(data.get("created")),
        "script": Markup(script),  # noqa: S704 - a file of ours
        "policy": f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{_digest(script)}'",
    }
    return templates.get_template(template).render(shared | dict(context))


def _backtest(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "forest": forest.of_pairs(data),
        "models": tables.without(tables.models_table(data), ("options",)),
        "options": content.options(data),
        "pairs": tables.pairs_table(data),
        "examples": plots.examples(data),
        "first_of": {},
    }


def _audit(data: Mapping[str, Any]) -> dict[str, Any]:
    findings = list(data.get("findings") or [])
    subjects = content.subjects(data)
    placed = {family for subject in subjects for family in subject.arms}
    stray = [family for family in content.arm_families(data) if family not in {*placed, "raw"}]
    others = tables.arms_table(data, ["raw", *stray]) if stray or not subjects else tables.arms_table(data, ())
    outcomes = Counter(content.outcome_word(each.get("outcome"), each.get("family")) for each in findings)
    severities = Counter(str(each.get("severity") or "info") for each in findings)
    return {
        "asked": headline.asked(data),
        "headline": forest.of_headline(data),
        "ladder": headline.ladder(data),
        "needs": [each for each in (headline.attention(data), *headline.reach(data)) if each],
        "undecided": headline.undecided(data),
        "unconverged": headline.unconverged(data),
        "losses": content.losses(data),
        "subjects": subjects,
        "urgent": sorted(filter(content.urgent, findings), key=lambda each: each.get("severity") != "error"),
        "most_urgent": MOST_URGENT,
        "outcomes": [(name, outcomes[name]) for name in content.SYMBOLS if outcomes[name]],
        "severities": [(name, severities[name]) for name in content.SEVERITIES if severities[name]],
        "skipped": content.skipped(data),
        # A link to a code leads to its first finding.
        "first_of": {each.get("code"): each for each in reversed(findings)},
        "forest": forest.of_arms(data, [*CHIEF_ARMS, *stray]),
        "arms": others,
        "arms_of": {subject.name: _arms(data, subject.arms) for subject in subjects},
        "remedies_forest": forest.of_remedies(data),
        # The plot has the contributions over the mean, and for the reasons there is no room.
        "remedies": tables.without(
            tables.remedies_table(data),
            ("contribution over the plain mean", "parameters", "why undecided whether it grows"),
        ),
        "maps": heatmap.maps(data),
        "examples": plots.examples(data),
    }


def _arms(data: Mapping[str, Any], families: Sequence[str]) -> Arms:
    """The arms of some families, and in the table also the model that they are compared to."""
    there = any(arm.get("family") in families for arm in data.get("arms") or [])
    table = tables.arms_table(data, ("raw", *families) if there else ())
    drawn = forest.of_arms(data, families)
    # The forest plot above the table shows effects and outcomes already.
    return Arms(drawn, tables.without(table, ("effect on MSE", "outcome")) if drawn else table)


def _pages(special: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Page]:
    """The navigation of an audit, without the pages that have nothing to show."""
    subjects: list[content.Subject] = special.get("subjects", [])
    pages = [Page("overview", "Overview")]
    if subjects:
        pages.append(Page("findings", "Findings", sum(len(subject.findings) for subject in subjects)))
    pages += [Page(f"family-{each.name}", each.title, len(each.findings), each.worst, inner=True) for each in subjects]
    given = {
        "remedies": special["remedies"].rows if "remedies" in special else [],
        "horizon": shared["horizon"],
        "attention": special.get("maps"),
    }
    given |= {"examples": special.get("examples")}
    titles = {"remedies": "Remedies", "horizon": "Horizon", "attention": "Attention maps", "examples": "Examples"}
    return [*pages, *(Page(name, titles[name]) for name in given if given[name]), Page("setting", "Protocol")]


@functools.cache
def _templates(package: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader(__package__)]),
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
        finding_table=tables.finding_table,
        charts_of=charts.of_finding,
        margin=numbers.margin,
    )
    return environment


def _finalize(value: Any) -> Any:
    if value is None:
        return ""
    return value if isinstance(value, Markup) else clean(str(value))


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
