"""What is finished, one JSON line each: a calibration that was stopped goes on from there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from forecheck.fingerprints import fingerprint


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
            key: everything that decides the value, as JSON types; the code of `make`'s module and of what it imports is
                added: what other code gave does not count.
            make: gives the value, as JSON types; a function of a module, or a `partial` of one.
        """
        keyed = dict(key) | {"code": fingerprint(_module(make))}
        text = _text(keyed)
        if text not in self._known:
            value = json.loads(json.dumps(make()))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A line break first as well: whatever a killed run left unfinished stays a line of its own.
            with self.path.open("a") as file:
                file.write("\n" + json.dumps({"key": keyed, "value": value}) + "\n")
            self._known[text] = value
        return self._known[text]


def _module(make: Callable[[], Any]) -> str:
    return make.func.__module__ if isinstance(make, partial) else make.__module__


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
