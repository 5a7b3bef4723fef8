"""A pruning as one offline HTML page: what it cost and gained, how the training went, and where the zeros are."""

from __future__ import annotations

from typing import Any

from forecheck.reports import charts, content, html
from forecheck.reports.pruning import Json, by_size, changes, gains, sentence
from forecheck.reports.tables import Column, Group, Table


def render(info: Json) -> str:
    """The page.

    Args:
        info: of `forecheck.forecasting.pruned.PrunedForecaster`.
    """
    head, _, rest = sentence(info).partition("; ")
    given: dict[str, Any] = {"method": info["method"], **info["goal"], **info["training"]}
    settings = {name.replace("_", " "): content.written(each) for name, each in given.items() if each is not None}
    context = {
        "where": content.where({"protocol": {"model": info["model"], **info["protocol"]}}),
        "head": f"{head}.",
        "rest": rest[:1].upper() + rest[1:],
        "verdict": {},
        "remarks": [each for each in (info["why"], *info["warnings"]) if each],
        "changed": Table(
            "before and after",
            [Column(""), Column("before", right=True), Column("after", right=True)],
            [Group("", [list(row) for row in changes(info)])],
        ),
        "gains": gains(info),
        "charts": charts.of_claim({"id": "pruning", "charts": _charts(info)}),
        "weights": _weights(info),
        "left_out": Table(
            "left alone",
            [Column("parameter"), Column("why")],
            [Group("", [[name, why] for name, why in info["left_out"].items()])],
        ),
        "settings": list(settings.items()),
        "protocol": content.protocol_facts(info),
        "environment": content.environment_facts(info),
    }
    return html.fill("pruning.html", info, context)


def _charts(info: Json) -> list[dict[str, Any]]:
    """The course of pruning, and the share of zeros of every matrix."""
    steps = [look["step"] for look in info["trace"]]
    dense, _ = info["validation_mse"]
    drawn: list[dict[str, Any]] = [
        {
            "kind": "curves",
            "title": "Validation MSE of the network as it would be cut",
            "x_label": "step",
            "y_label": "validation MSE",
            "series": [{"label": "cut", "x": steps, "y": [look["validation"] for look in info["trace"]]}],
            "levels": [{"label": "before pruning", "value": dense}],
        }
    ]
    residuals = [look["residual"] for look in info["trace"] if "residual" in look]
    if residuals:
        drawn.append(
            {
                "kind": "curves",
                "title": "How far the weights are from sparse ones",
                "x_label": "step",
                "y_label": "relative residual",
                "series": [{"label": "residual", "x": steps, "y": residuals}],
                "levels": [{"label": "converged", "value": info["converged"]}],
            }
        )
    listed = info["weights"]
    drawn.append(
        {
            "kind": "bars",
            "title": "Zeros in % of every matrix",
            "y_label": "zero, in %",
            "unit": "%",
            "x": [each["weight"] for each in listed],
            "series": [{"label": "zero", "y": [100 * each["zero"] / each["size"] for each in listed]}],
        }
    )
    return drawn


def _weights(info: Json) -> Table:
    rows = [
        [each["weight"], f"{each['size']:,}", f"{each['zero']:,}", "head" if each["head"] else ""]
        for each in by_size(info)
    ]
    columns = [Column("weight"), Column("size", right=True), Column("zero", right=True), Column("")]
    return Table("weights that could be pruned", columns, [Group("", rows)])
