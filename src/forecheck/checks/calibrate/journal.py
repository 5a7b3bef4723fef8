"""What is finished, one JSON line each: a calibration that was stopped goes on from there."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

JOURNAL_VERSION = 1
"""Part of every key; raise it when a change of the calibration's own code changes results."""


@cache
def code_under_test() -> str:
    """Digest of the code that decides: what is kept of another version of it does not count."""
    from forecheck.checks import evidence, verdict
    from forecheck.evaluation import inference

    sources = "".join(inspect.getsource(module) for module in (inference, evidence, verdict))
    return hashlib.sha256(sources.encode()).hexdigest()[:16]


class Journal:
    """A file of lines `{"key": ..., "value": ...}`; a line that was cut off by a kill counts as not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Any] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    entry = json.loads(line)
                    self._known[_text(entry["key"])] = entry["value"]

    def once(self, key: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """The value kept under `key`; made and kept now if there is none.

        Args:
            key: everything that decides the value, as JSON types.
            make: gives the value, as JSON types.
        """
        versioned = dict(key) | {"version": JOURNAL_VERSION, "code": code_under_test()}
        text = _text(versioned)
        if text not in self._known:
            value = json.loads(json.dumps(make()))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A line break first as well: whatever a killed run left unfinished stays a line of its own.
            with self.path.open("a") as file:
                file.write("\n" + json.dumps({"key": versioned, "value": value}) + "\n")
            self._known[text] = value
        return self._known[text]


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
