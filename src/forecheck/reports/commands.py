"""What to type next: commands that read the data as they were read, or calls where the data were no file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any


def forecast_command(
    words: Sequence[str],
    model: str,
    given: Mapping[str, Any],
    options: Mapping[str, Any],
    beside: Mapping[str, Sequence[str]],
) -> str:
    """The command that forecasts with a model, or the call of `forecheck.forecast`.

    Args:
        words: what reads the data again (`forecheck.data.panel.Reading`); empty for a frame.
        model: name.
        given: horizon, lookback and period; None for what is found.
        options: of the model, as they were chosen.
        beside: names of columns beside the channels, by their part; a command has them among its words.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not words:
        how = {**given, "model": model} | ({"options": {model: dict(options)}} if options else {})
        how |= {part: list(names) for part, names in beside.items()}
        return f"fc.forecast(data, {', '.join(f'{name}={value!r}' for name, value in how.items())})"
    found = ["forecheck", "forecast", *words]
    found += [word for name, value in given.items() for word in (f"--{name}", str(value))]
    found += ["--model", model]
    found += [word for name, value in options.items() for word in ("--set", f"{model}.{name}={value}")]
    return shlex.join(found)
