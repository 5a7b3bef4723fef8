"""`forecheck.models`."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from typing import Any


def models() -> list[dict[str, Any]]:
    """Every forecaster, the simplest first; see `forecheck.forecasters.overview.overview`.

    Of ours it was found out beforehand, since building every network takes seconds; of those that were registered in
    this process it is found out now.
    """
    known: list[dict[str, Any]] = json.loads(files("forecheck.forecasters").joinpath("overview.json").read_text())
    registry = sys.modules.get("forecheck.forecasters.registry")
    if registry is None:
        return known
    from forecheck.forecasters.overview import overview

    ours = {one["model"] for one in known}
    return known + [overview(each) for name, each in registry.registered().items() if name not in ours]
