"""`forecheck --log-json`: what goes to standard error, as one JSON object a line."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO, cast


class JsonLines(io.TextIOBase):
    """Standard error whose every message is a line of JSON: `time`, `event`, and what belongs to it.

    Events are `message` (a text), `planned`, `trial`, `progress` (of `forecheck.progress.bar.Bar`) and `exit`.

    Args:
        stream: where the lines go.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._begun = ""

    def write(self, text: str) -> int:
        """Gather a text until it ends with its line, then log it; a text of several lines stays together."""
        self._begun += text
        if self._begun.endswith("\n"):
            said, self._begun = self._begun.strip("\n"), ""
            if said.strip():
                self.event("message", message=said)
        return len(text)

    def event(self, name: str, **about: Any) -> None:
        """Write one line of JSON with the time, the event and what is known of it."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"time": time, "event": name, **about}) + "\n")
        self._stream.flush()

    def writable(self) -> bool:
        """True, as a stream that is printed to has to say."""
        return True

    def isatty(self) -> bool:
        """No bars and no colours."""
        return False

    def fileno(self) -> int:
        """Of the stream behind it."""
        return int(self._stream.fileno())

    def flush(self) -> None:
        """Flush the stream behind it; a line that is not at its end waits."""
        self._stream.flush()


def log_json() -> None:
    """Make standard error one of JSON lines, until the process ends."""
    stream: Any = sys.stderr
    if not isinstance(stream, JsonLines):
        sys.stderr = cast("TextIO", JsonLines(stream))


def log_exit(code: object) -> None:
    """Log with which code the program ends, if it logs."""
    stream: Any = sys.stderr
    if isinstance(stream, JsonLines):
        stream.write("\n")  # ends what was begun
        stream.event("exit", code=code if isinstance(code, int) else int(code is not None))
