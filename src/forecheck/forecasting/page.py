"""A forecast as a page: which series are worth a look, and what is said of the model."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Int

import forecheck
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.forecasting.behind import Behind, Units
from forecheck.forecasting.candidates import COMBINATION
from forecheck.forecasting.forecast import Forecast
from forecheck.reports.forecast_curves import Curves, Earlier
from forecheck.reports.forecast_page import Chosen, Page, ranked, render, room_for

_MOST, _FEWEST = 400, 30
"""Steps of history that are drawn, if there are more."""
_SHOWN = 8
_SHARED = " at the rolling origins that the candidates share"
_IN_NOTEBOOK = 60
"""Series that a notebook keeps."""
_PLAIN = ("y", "target", "value")
"""Names of a column that say nothing."""


def page_of(forecast: Forecast, show: Sequence[Any] = (), most: int | None = None) -> str:
    """One offline HTML page; see `forecheck.reports.forecast_page`.

    Args:
        forecast: with what lies behind it.
        show: names of series that are to be on the page, before all others.
        most: series to show; None for as many as there is room for.

    Raises:
        UsageError: if there is no such series, or the data of the forecast are not known.
    """
    behind = behind_of(forecast)
    names = forecast.names
    period = behind.period
    asked = places_of(names, show)
    horizon, wide = forecast.horizon, 1 + 2 * len(forecast.levels)
    full = min(max(3 * horizon, 4 * period, 40), _MOST)
    room = room_for(len(names), full + wide * horizon)
    if room < len(names):  # shorter histories, so that more series have room
        full = max(min(full, max(2 * horizon, 2 * period)), _FEWEST)
        room = room_for(len(names), full + wide * horizon)
    room = room if most is None else min(room, most)
    losses, ranking = losses_of(forecast, behind)
    order = ranked(losses, len(names), room)
    order = np.concatenate([asked, order[~np.isin(order, asked)]])[: max(room, len(asked))]
    curves = curves_of(forecast, order, full, losses)
    median = np.nan if losses is None else float(np.nanmedian(losses))
    info = forecast.info
    made = {"forecheck": forecheck.__version__, "created": datetime.now(UTC).isoformat(timespec="seconds")}
    step = str(behind.panel.frequency)
    return render(
        Page(behind.panel.name, made, _chosen(info, forecast.model), len(names), ranking, median, curves, len(asked),
             period, step, _facts(info, behind))
    )  # fmt: skip


def framed(forecast: Forecast) -> str:
    """The page with its first series in a frame of its own, as a report has."""
    page = escape(page_of(forecast, most=_IN_NOTEBOOK), quote=True)
    return (
        f'<iframe srcdoc="{page}" title="{escape(repr(forecast))}" sandbox="allow-scripts" '
        'style="width:100%;height:45rem;border:0;resize:vertical;overflow:auto"></iframe>'
    )


def behind_of(forecast: Forecast) -> Behind:
    """The data of a forecast (UsageError if they are not known)."""
    if forecast.behind is None:
        raise UsageError("this forecast came without its data, and cannot be drawn", "Make it with forecheck.forecast.")
    return forecast.behind


def curves_of(
    forecast: Forecast, places: Int[np.ndarray, " place"], history: int, losses: Units | None
) -> list[Curves]:
    """Some of the units, each with so many steps of its history at most.

    Args:
        forecast: with the data that it is of.
        places: of the units among all, series by series, channels inside.
        history: steps before the forecast that are drawn, as far as there are so many.
        losses: of all units, shown beside them; None where they are not known.
    """
    behind = behind_of(forecast)
    panel, horizon, names = behind.panel, forecast.horizon, forecast.names
    channels, earlier = len(panel.channels), behind.earlier()
    stamps = np.asarray(forecast.columns["ds"]).reshape(-1, horizon)
    columns = {name: np.asarray(forecast.columns[name]).reshape(-1, horizon) for name in list(forecast.columns)[2:]}
    seen = panel.values if panel.filled is None else np.where(panel.filled, np.nan, panel.values)
    found = []
    for place in places.tolist():
        series, channel = divmod(place, channels)
        end = int(panel.offsets[series + 1])
        rows = slice(max(int(panel.offsets[series]), end - history), end)
        before = None
        if earlier is not None:
            back, values = min(earlier[0], rows.stop - rows.start), earlier[1][place]
            before = Earlier(back, values[earlier[0] - back :])
        found.append(
            Curves(
                name=str(names[place]),
                unit="" if panel.channels[channel] in (*_PLAIN, str(names[place])) else panel.channels[channel],
                time=np.concatenate([panel.time[rows], stamps[place]]),
                history=seen[rows, channel],
                point=columns[forecast.model][place],
                bands={
                    level: tuple(columns[f"{forecast.model}-{end}-{level:g}"][place] for end in ("lo", "hi"))
                    for level in sorted(forecast.levels)
                },
                earlier=before if before is not None and np.isfinite(before.values).any() else None,
                loss=None if losses is None or np.isnan(losses[place]) else float(losses[place]),
            )
        )
    return found


def places_of(names: Sequence[Any], show: Sequence[Any]) -> Int[np.ndarray, " place"]:
    """Places of the units of these names, each once.

    Raises:
        UsageError: if there is no such name.
    """
    given = [show] if isinstance(show, str | int) else list(show)
    places = {str(name): place for place, name in enumerate(names)}
    for name in given:
        if str(name) not in places:
            listed = ", ".join(f'"{each}"' for each in names[:_SHOWN])
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            raise UsageError(f'there is no series "{name}" in the forecast', f"There are {listed}{more}.")
    return np.array(list(dict.fromkeys(places[str(name)] for name in given)), dtype=np.int64)


def losses_of(forecast: Forecast, behind: Behind) -> tuple[Units | None, str]:
    """What the units are ranked by: errors, else widths in units of the usual change of a step."""
    if behind.losses is not None and np.isfinite(behind.losses).any():
        return behind.losses, behind.measure
    if not forecast.levels:
        return None, ""
    level = min(forecast.levels)
    low, high = (np.asarray(forecast.columns[f"{forecast.model}-{end}-{level:g}"]) for end in ("lo", "hi"))
    width = (high - low).reshape(-1, forecast.horizon).mean(axis=1)
    scale = _changes(behind.panel)
    if not (scale > 0).any():  # all are constant
        return None, ""
    relative = np.divide(width, scale, out=np.full_like(width, np.nan), where=scale > 0)
    return relative, f"Width of the {level:g} % intervals, in usual steps"


def _changes(panel: Panel) -> Units:
    """Mean absolute change from row to row of every unit."""
    rows = np.abs(np.diff(panel.values, axis=0, prepend=panel.values[:1]))
    rows[panel.offsets[:-1]] = 0.0
    return np.asarray(np.add.reduceat(rows, panel.offsets[:-1]) / np.maximum(panel.lengths - 1, 1)[:, None]).reshape(-1)


def _chosen(info: dict[str, Any], model: str) -> Chosen:
    """The sentence on why this model, and remarks on it."""
    rule, rolling = info.get("rule"), info.get("rolling_mase") or {}
    why = f"Chosen since {rule}." if rule else ""
    if rule == "named":
        why = "You named it."
    elif rule and rule.startswith("simplest"):
        why = f"Chosen as the {rule}."
    elif rule and rule.startswith(("certain", "the only")):
        why = f"Chosen since it is {rule}."
    loss, origins = rolling.get(model), info.get("origins")
    if loss is not None:
        where = f" at {origins} rolling origins inside the history" if len(rolling) == 1 else _SHARED
        why += f" Its mean absolute scaled error (MASE) is {loss:.3f}{where}."
    members = info.get("members") or {}
    table = [(name, weight, (info.get("member_mase") or {}).get(name)) for name, weight in members.items()]
    others = sorted(((name, loss) for name, loss in rolling.items() if loss is not None), key=lambda each: each[1])
    return Chosen(model, why.strip(), table, others if len(others) > 1 else (), info.get("notes") or ())


def _facts(info: dict[str, Any], behind: Behind) -> list[tuple[str, str]]:
    """How it was made."""
    maps = [
        f"{each['anchor']}: lookback {each['lookback']}, ridge {each['ridge']:g}" for each in info.get("maps") or ()
    ]
    said = {
        "data": info.get("read") or behind.panel.described,
        "split": info.get("split"),
        "lookback": info.get("lookback"),
        "test MSE": None if info.get("test_mse") is None else f"{info['test_mse']:.4f} standardised",
        "calibration": info.get("calibration_windows") and f"{info['calibration_windows']:,} windows of the test part",
        "refitted": info.get("refitted") and "on all rows, with what validation chose",
        "pooled maps": "; ".join(maps),
        "intervals": "from errors at rolling origins"
        if info.get("model") == COMBINATION and info.get("origins")
        else "",
    }
    return [(name, str(value)) for name, value in said.items() if value]
