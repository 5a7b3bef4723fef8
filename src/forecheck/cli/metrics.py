"""`forecheck metrics`."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecheck.cli.lists import Json, table
from forecheck.cli.say import put, say

if TYPE_CHECKING:
    from forecheck.anomaly.metrics.registry import Metric


def metrics(
    name: Annotated[str | None, typer.Argument(help="Explain this metric, net_event for example.")] = None,
    properties: Annotated[
        bool, typer.Option("--properties", help="Try which of twelve properties metrics of alarms have.")
    ] = False,
    draws: Annotated[int, typer.Option(min=1, help="How often --properties tries each.")] = 200,
    json: Json = False,
) -> None:
    """List the metrics of anomaly detection, explain one, or show what each rewards."""
    from forecheck.anomaly.metrics.registry import all_metrics, find_metric

    chosen = [find_metric(name)] if name is not None else all_metrics()
    if properties:
        _properties(chosen, named=name is not None, draws=draws, json=json)
        return
    if json:
        put(jsonlib.dumps([_described(each) for each in chosen], indent=1) + "\n")
        return
    if name is not None:
        _explain(chosen[0])
        return
    table(("metric", "needs", "", "what"), [[m.name, m.needs, "!" if m.warning else "", m.title] for m in chosen])
    say("\nforecheck metrics NAME explains one: formula, parameters, source, conventions; ! has a warning.")


def _described(metric: Metric) -> dict[str, Any]:
    fields = ("name", "title", "needs", "source", "edges", "warning", "lower_is_better", "without_anomalies")
    return {key: getattr(metric, key) for key in fields} | {
        "parameters": metric.parameters,
        "explanation": metric.explanation,
    }


def _explain(metric: Metric) -> None:
    import textwrap

    say(f"{metric.name}: {metric.title}\n\n{metric.explanation}\n")
    facts = {
        "needs": str(metric.needs),
        "better": "lower" if metric.lower_is_better else "higher",
        "parameters": ", ".join(f"{name}={value}" for name, value in metric.parameters.items()) or "none",
        "no anomaly": "defined" if metric.without_anomalies else "refused",
        "edges": metric.edges,
        "source": metric.source,
        "warning": metric.warning,
    }
    for word, fact in facts.items():
        if fact:
            say(textwrap.fill(f"{word}: {fact}", 96, subsequent_indent="  ", break_on_hyphens=False))


def _properties(chosen: list[Metric], *, named: bool, draws: int, json: bool) -> None:
    from forecheck.anomaly.harness.generators import PROPERTIES
    from forecheck.anomaly.harness.table import properties
    from forecheck.anomaly.metrics.registry import Needs
    from forecheck.progress.bar import Bar

    tried = chosen if named else [each for each in chosen if each.needs is Needs.ALARMS]
    found = {}
    with Bar() as bar:
        for number, metric in enumerate(tried):
            bar.part("metrics", number, len(tried))
            found[metric.name] = properties(metric, draws=draws)
    if json:
        put(jsonlib.dumps({name: each.to_dict() for name, each in found.items()}, indent=1) + "\n")
        return
    columns = tuple(each.name for each in PROPERTIES)
    words = [[name, *(each[column].word for column in columns)] for name, each in found.items()]
    warned = [f"{each.name}: {each.warning}" for each in tried if each.name == "pa"]
    table(("metric", *columns), words)
    say("\nY: strict in every draw; w: weak in every draw; a/b: percent strict / percent weak; shift, ev-eq: equal.")
    for each in PROPERTIES if named else ():
        say(f"{each.name}: {each.claim}")
    for line in warned:
        say(line)
