"""What is finished: a file for every part, and the last verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forecheck.files import replace_file
from forecheck.fingerprints import fingerprint
from forecheck.papers.experiment import Part, Row
from forecheck.trials.ledger import Ledger


class Journal:
    """Parts and verdicts under `papers/` of a ledger; each file is written whole or not at all."""

    def __init__(self, ledger: Ledger) -> None:
        self.root = ledger.root / "papers"

    def path(self, paper: str, part: Part) -> Path:
        """Where a part's result lies, or will: what decides it is in the name."""
        described = {
            "paper": paper,
            "experiment": part.experiment.name,
            "settings": dict(part.settings),
            "code": fingerprint(part.experiment.measure.__module__),
        }
        text = json.dumps(described, sort_keys=True)
        return self.root / paper / f"{part.experiment.name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"

    def get(self, paper: str, part: Part) -> Row | None:
        """Settings and numbers of a finished part, None if it is not finished (or damaged)."""
        kept = self._kept(paper, part)
        return None if kept is None else {**part.settings, **kept["measured"]}

    def seconds(self, paper: str, part: Part) -> float:
        """What a finished part took; 0 if it is not finished."""
        kept = self._kept(paper, part)
        return 0.0 if kept is None else float(kept["seconds"])

    def _kept(self, paper: str, part: Part) -> dict[str, Any] | None:
        try:
            found = json.loads(self.path(paper, part).read_text())
        except (OSError, ValueError):
            return None
        whole = isinstance(found, dict) and isinstance(found.get("measured"), dict) and "seconds" in found
        return found if whole else None

    def put(self, paper: str, part: Part, measured: Mapping[str, Any], seconds: float) -> None:
        """Keep a part's numbers.

        Raises:
            ValueError: if one of them is called like a setting; a row holds both.
        """
        if both := part.settings.keys() & measured.keys():
            raise ValueError(f"{part.label} measures what it is given: {', '.join(sorted(both))}")
        found = {"settings": dict(part.settings), "seconds": round(seconds, 2), "measured": dict(measured)}
        text = json.dumps(found, default=as_plain)
        replace_file(self.path(paper, part), lambda path: _write(path, text))

    def verdicts(self) -> dict[str, Any]:
        """By paper and claim, the last verdict with its budget and number."""
        try:
            found = json.loads((self.root / "verdicts.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def note(self, paper: str, claims: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the last verdicts of a paper's claims."""
        known = self.verdicts()
        known[paper] = {**known.get(paper, {}), **claims}
        text = json.dumps(known, indent=1)
        replace_file(self.root / "verdicts.json", lambda path: _write(path, text))


def as_plain(value: Any) -> Any:
    """What of numpy is among the numbers; `default` of `json.dumps`."""
    return value.tolist()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
