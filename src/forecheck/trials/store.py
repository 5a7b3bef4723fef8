"""The store of results: content-addressed, each result written whole or not at all and checked when it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from forecheck.data.panel import Panel
from forecheck.errors import DataError, UsageError
from forecheck.files import checksum, home, place_folder, remove_folder, replace_file
from forecheck.trials.locks import locks_of
from forecheck.trials.panels import describe_panel, load_panel, panel_key, save_panel
from forecheck.trials.record import RECORD, Key, Record, read_record, write_record
from forecheck.trials.remote import Remote, as_url
from forecheck.trials.trial import Trial

Array = np.ndarray[Any, np.dtype[Any]]
_ARRAYS = "arrays.safetensors"


@dataclass(frozen=True, eq=False)
class Result:
    """What a trial gave.

    Attributes:
        trial: its description.
        summary: losses, timings, choices, versions (JSON types).
        arrays: per-window losses and whatever else the reports draw; see `forecheck.trials.run`.
        folder: where it lies; holds `model/` if the forecaster was saved.
    """

    trial: Trial
    summary: dict[str, Any]
    arrays: dict[str, Array]
    folder: Path


class Store:
    """A folder of results: of trials, parts of papers and of calibrations, and the panels that trials are about.

    A result is a folder with a record (`forecheck.trials.record`) and, for some kinds, more files. Its address says
    what it is of and which code made it. Whatever cannot be read back as it was written counts as not there. Any number
    of processes may use a store at once, also for the same result.

    Under a URL every result is one object (`forecheck.trials.remote`). It is written to a folder of this machine first,
    and copied there when it is read; work in progress stays on its machine.

    Args:
        root: its folder, or a URL; None for the user's cache.

    Attributes:
        root: its folder, or that of the copies on this machine.
        remote: what lies under the URL; None for a folder.
        locks: who uses what of the folder.

    Raises:
        UsageError: if its name is empty, or the cache is a URL.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        if root == "":
            raise UsageError("the store has an empty name", "Name a folder, or leave it out for your cache.")
        place = home() / "store" if root is None else root
        url = as_url(place)
        self.remote = None if url is None else Remote(url)
        self.root = Path(place) if url is None else _copies(url)
        self.locks = locks_of(self.root)

    @property
    def address(self) -> str:
        """What other processes open it by: its URL, or the absolute path of its folder."""
        return str(self.root.resolve()) if self.remote is None else self.remote.url

    def check_folder(self) -> None:
        """Where all of it has to be looked at, which only a folder lets.

        Raises:
            UsageError: if it lies under a URL.
        """
        if self.remote is not None:
            raise UsageError(
                f"what lies under {self.remote.url} cannot be listed, checked or removed from here",
                f"Use the tools of that place: each result is one object. Copies on this machine: --store {self.root}",
            )

    def place(self, kind: str, address: str) -> Path:
        """The folder of a result, which need not be there."""
        return self.root / _name(kind, address)

    def read(self, kind: str, address: str) -> Record | None:
        """A result that is whole, with all its files, or None; from now on this process uses what lies there."""
        self.locks.share(f"{kind} {address}")
        found = self._lies(kind, address)
        if self.remote is None or kind == "checkpoint":
            return found
        name, folder = _name(kind, address), self.place(kind, address)
        if found is not None:
            self.remote.keep(name, folder)
        elif self.remote.fetch(name, folder):
            found = self._lies(kind, address)
        return found

    def _lies(self, kind: str, address: str) -> Record | None:
        """What is whole on this machine."""
        folder = self.place(kind, address)
        record = read_record(folder)
        return record if record is not None and record.key.kind == kind and record.whole(folder) else None

    def write(self, key: Key, value: Any, fill: Callable[[Path], None] | None = None) -> None:
        """Write a result in one step.

        Args:
            key: what it is of.
            value: what it is, as JSON types.
            fill: writes further files into a folder. A result with files stays if it is there, whole and of the same
                parts; one without is replaced.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        self.locks.share(f"{key.kind} {key.address}")
        folder = self.place(key.kind, key.address)
        for place in (folder.parent.parent, folder.parent, *([folder] if fill is None else [])):
            if place.exists() and not place.is_dir():  # damage: a folder was there
                remove_folder(place)
        if fill is None:
            replace_file(folder / RECORD, lambda path: write_record(path, key, value, {}))
            self._send(key, folder)
            return

        def whole(part: Path) -> None:
            fill(part)
            files = {path.relative_to(part).as_posix(): checksum(path) for path in part.rglob("*") if path.is_file()}
            write_record(part / RECORD, key, value, files)
            if folder.exists() and not self._stands(key, value):  # damaged, or of an earlier version
                remove_folder(folder)

        place_folder(folder, whole)
        self._send(key, folder)

    def _send(self, key: Key, folder: Path) -> None:
        if self.remote is not None and key.kind != "checkpoint":
            self.remote.send(_name(key.kind, key.address), folder)

    def _stands(self, key: Key, value: Any) -> bool:
        """Whether a whole result is there whose value has the parts of this one."""
        record = self.read(key.kind, key.address)
        if record is None or not isinstance(value, dict):
            return record is not None
        return not isinstance(record.value, dict) or record.value.keys() == value.keys()

    # Trials

    def folder(self, trial: Trial) -> Path:
        """Where a trial's result lies, or will."""
        return self.place("trial", trial.address)

    def __contains__(self, trial: Trial) -> bool:
        return self.read("trial", trial.address) is not None

    def get(self, trial: Trial) -> Result | None:
        """The result of a trial, or None if it has not been run (or was damaged)."""
        address = trial.address
        record, folder = self.read("trial", address), self.place("trial", address)
        return None if record is None else Result(trial, record.value, load_file(folder / _ARRAYS), folder)

    def need(self, trial: Trial) -> Result:
        """The result of a trial that was run.

        Raises:
            DataError: if it is not there (somebody emptied the store meanwhile) or damaged.
        """
        result = self.get(trial)
        if result is None:
            raise _missing(trial, self.folder(trial))
        return result

    def model(self, trial: Trial) -> Path:
        """The folder of the forecaster that was saved with the result of a trial.

        Raises:
            DataError: if the result is not there or damaged.
        """
        if trial not in self:
            raise _missing(trial, self.folder(trial))
        return self.folder(trial) / "model"

    def put(self, trial: Trial, summary: dict[str, Any], arrays: dict[str, Array], forecaster: Any = None) -> None:
        """Write the result of a trial, whose checkpoint goes.

        Args:
            trial: what was run.
            summary: see `Result`.
            arrays: see `Result`.
            forecaster: saved with the result if there is one.
        """

        def fill(folder: Path) -> None:
            if forecaster is not None:
                forecaster.save(folder / "model")
            save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / _ARRAYS)

        key = trial.key
        self.write(key, summary, fill)
        self.forget(key)

    def checkpoint(self, trial: Trial) -> Path:
        """Where a fit in progress writes its state, beside a record of what it is of."""
        return self.state_of(trial.key)

    def state_of(self, key: Key) -> Path:
        """Where work in progress writes its state, beside a record of what it is of; `forget` removes it.

        Args:
            key: what it is of.
        """
        key = replace(key, kind="checkpoint")
        self.write(key, None)
        return self.place(key.kind, key.address) / "state.safetensors"

    def forget(self, key: Key) -> None:
        """Remove the state of work that is done.

        Args:
            key: what it was of.
        """
        remove_folder(self.place("checkpoint", key.address))

    # Panels

    def put_panel(self, panel: Panel) -> None:
        """Write a panel, so that workers can read it by its fingerprint.

        One that an earlier version wrote, with other parts, is written anew.
        """
        key, described = panel_key(panel), describe_panel(panel)
        if not self._stands(key, described):
            self.write(key, described, lambda folder: save_panel(panel, folder))

    def get_panel(self, fingerprint: str) -> Panel:
        """A panel that was put here.

        Raises:
            DataError: if it is not there or damaged.
        """
        record = self.read("panel", fingerprint)
        if record is None:
            raise DataError(f"the store {self.root} does not hold panel {fingerprint[:12]}")
        return load_panel(record.value, self.place("panel", fingerprint))


def _name(kind: str, address: str) -> str:
    """Where a result lies, from the root of its store on."""
    return f"{kind}/{address[:2]}/{address}"


def _copies(url: str) -> Path:
    """The folder on this machine of what lies under a URL.

    Raises:
        UsageError: if the cache folder is a URL.
    """
    if as_url(home()) is not None:
        do = "Set FORECHECK_HOME to a folder, and name the URL with --store."
        raise UsageError(f"the cache has to be a folder, and FORECHECK_HOME is {home()}", do)
    return home() / "copies" / hashlib.sha256(url.encode()).hexdigest()[:16]


def _missing(trial: Trial, folder: Path) -> DataError:
    return DataError(f"the result of {trial.label} is missing in {folder}", "Run the command again.")
