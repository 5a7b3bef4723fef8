"""Panels as they are stored: arrays in a file, all else in the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from forecheck.data.covariates import Covariates
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.trials.record import Key

_ARRAYS = "panel.safetensors"


def panel_key(panel: Panel) -> Key:
    """A panel's address is its fingerprint; no code decides what it is."""
    return Key(
        "panel",
        panel.fingerprint,
        f"{panel.name}: {len(panel.values)} rows of {len(panel.channels)}",
        {"name": panel.name},
    )


def describe_panel(panel: Panel) -> dict[str, Any]:
    """All but the arrays, as JSON types."""
    return {
        "series": panel.series,
        "channels": panel.channels,
        "frequency": asdict(panel.frequency),
        "name": panel.name,
        "split": panel.split,
        "dates": panel.time.dtype.kind == "M",
        "fills": panel.fills,
        "fill": panel.fill,
        "covariates": None if panel.covariates is None else _described(panel.covariates),
    }


def _described(beside: Covariates) -> dict[str, Any]:
    return {
        "known": beside.known,
        "levels": dict(beside.levels),
        "static": dict(beside.static),
        "calendar": beside.calendar,
        "unseen": dict(beside.unseen),
        "past": beside.past,
    }


def save_panel(panel: Panel, folder: Path) -> None:
    """Write the arrays."""
    dates = panel.time.dtype.kind == "M"
    time = panel.time.astype("datetime64[us]").astype(np.int64) if dates else panel.time.astype(np.int64)
    arrays = {"values": panel.values, "offsets": panel.offsets.astype(np.int64), "time": time}
    if panel.filled is not None:
        arrays["filled"] = panel.filled
    if panel.covariates is not None:
        arrays |= {"known": panel.covariates.values, "future": panel.covariates.future}
        if panel.covariates.lagged is not None:
            arrays["lagged"] = panel.covariates.lagged
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / _ARRAYS)


def load_panel(described: Mapping[str, Any], folder: Path) -> Panel:
    """The panel that `describe_panel` described and `save_panel` wrote."""
    arrays = load_file(folder / _ARRAYS)
    return Panel(
        arrays["values"],
        arrays["offsets"],
        arrays["time"].astype("datetime64[us]") if described["dates"] else arrays["time"],
        tuple(described["series"]),
        tuple(described["channels"]),
        Frequency(**described["frequency"]),
        described["name"],
        described["split"],
        described["fills"],
        arrays.get("filled"),
        described["fill"],
        covariates=_covariates(described["covariates"], arrays),
    )


def _covariates(described: Mapping[str, Any] | None, arrays: Mapping[str, Any]) -> Covariates | None:
    if described is None:
        return None
    levels, static, unseen = (
        {name: tuple(levels) for name, levels in described[part].items()} for part in ("levels", "static", "unseen")
    )
    return Covariates(
        tuple(described["known"]),
        arrays["known"],
        arrays["future"],
        levels,
        static,
        tuple(described["calendar"]),
        unseen,
        tuple(described["past"]),
        arrays.get("lagged"),
    )
