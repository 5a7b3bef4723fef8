"""What every fault test needs: data, the program as a process, and a count of what went wrong."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forecheck.trials.health import check_store
from forecheck.trials.runs import prune
from forecheck.trials.store import Store

PROGRAM = [sys.executable, "-m", "forecheck.cli.start"]
FAULTS = ("lost", "half", "orphans", "rubbish", "other")
TINY = {"patch": 8, "stride": 8, "width": 8, "heads": 2, "hidden": 16, "layers": 1, "batch": 64, "epochs": 30}
SMALL = ["--horizon", "6", "--lookback", "24"]
_MARK = "FORECHECK_SOAK"


@dataclass
class Count:
    """How often something was tried, and what went wrong: kinds of `FAULTS`, with words."""

    what: str
    tries: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def wrong(self, kind: str, words: str) -> None:
        """Something went wrong."""
        self.faults.append((kind, words))

    def row(self) -> list[str]:
        """Of the table."""
        kinds = Counter(kind for kind, _ in self.faults)
        return [self.what, str(self.tries), *(str(kinds[kind]) for kind in FAULTS), f"{self.seconds:.0f}"]


class Place:
    """A folder with data and a home, in which the program is started; processes are found again by a mark.

    Args:
        root: is made, and removed by `remove`.
    """

    def __init__(self, root: Path, rows: int = 400) -> None:
        self.root = root
        self.mark = secrets.token_hex(8)
        root.mkdir(parents=True)
        hours = np.datetime64("2024-01-01T00", "h") + np.arange(rows)
        angle = 2 * np.pi * np.arange(rows)[:, None] / 24 + np.arange(2)
        values = 50 + 10 * np.sin(angle) + 3 * np.random.default_rng(0).standard_normal((rows, 2))
        lines = [f"{hour},{a:.6f},{b:.6f}" for hour, (a, b) in zip(hours, values.tolist(), strict=True)]
        (root / "waves.csv").write_text("\n".join(["date,c0,c1", *lines]) + "\n")

    @property
    def store(self) -> Store:
        """Where the program keeps results."""
        return Store(self.root / "home" / "store")

    def start(self, command: list[str], **settings: str) -> subprocess.Popen[str]:
        """Start a process here, which together with all its children carries the mark."""
        environment = os.environ | {"FORECHECK_HOME": str(self.root / "home"), _MARK: self.mark} | settings
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        process = self.start([*PROGRAM, *arguments], **settings)
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def running(self) -> list[int]:
        """Processes that carry the mark and still run."""
        mark, found = f"{_MARK}={self.mark}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                ended = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
                if not ended and mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def no_orphans(self, count: Count, seconds: float = 20.0) -> None:
        """Wait for workers whose parent was killed to end by themselves; count and end those that do not."""
        until = time.monotonic() + seconds
        while (left := self.running()) and time.monotonic() < until:
            time.sleep(0.05)
        for process in left:
            count.wrong("orphans", f"process {process} still runs")
            os.kill(process, signal.SIGKILL)

    def no_damage(self, count: Count) -> None:
        """Read all of the store."""
        for folder, why in check_store(self.store).damaged.items():
            count.wrong("half", f"{folder}: {why}")

    def no_rubbish(self, count: Count) -> None:
        """What is left after `runs --prune`."""
        prune(self.store)
        for path in self.parts():
            count.wrong("rubbish", str(path))

    def parts(self) -> list[Path]:
        """Files and folders that were being written."""
        return sorted(self.root.rglob(".*.part"))

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self.root, ignore_errors=True)


def tiny(model: str = "patchtst", **options: object) -> list[str]:
    """Options that make a model tiny."""
    return [part for key, value in (TINY | options).items() for part in ("--set", f"{model}.{key}={value}")]
