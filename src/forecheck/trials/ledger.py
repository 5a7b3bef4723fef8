"""The ledger: panels and results by content address, each written whole or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.errors import DataError
from forecheck.files import home, replace_folder
from forecheck.trials.trial import Trial

Array = np.ndarray[Any, np.dtype[Any]]


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


class Ledger:
    """A folder of panels and finished trials.

    Anything that lies under an address is finished: work in progress has another name and is renamed at the end. A
    result that cannot be read back counts as not there.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or home() / "ledger"

    def folder(self, trial: Trial) -> Path:
        """Where a trial's result lies, or will."""
        return self.root / "trials" / trial.address[:2] / trial.address

    def checkpoint(self, trial: Trial) -> Path:
        """Where a fit in progress keeps its state."""
        return self.root / "partial" / f"{trial.address}.safetensors"

    def __contains__(self, trial: Trial) -> bool:
        return (self.folder(trial) / "result.json").exists()

    def get(self, trial: Trial) -> Result | None:
        """The result of a trial, or None if it has not been run (or was damaged)."""
        folder = self.folder(trial)
        try:
            summary = json.loads((folder / "result.json").read_text())
            arrays = load_file(folder / "arrays.safetensors")
        except (OSError, json.JSONDecodeError, SafetensorError):
            return None
        return Result(trial, summary, arrays, folder)

    def need(self, trial: Trial) -> Result:
        """The result of a trial that was run.

        Raises:
            DataError: if it is not there (somebody emptied the ledger meanwhile) or damaged.
        """
        result = self.get(trial)
        if result is None:
            raise DataError(f"the result of {trial.label} is missing in {self.folder(trial)}", "Run the command again.")
        return result

    def put(self, trial: Trial, summary: dict[str, Any], arrays: dict[str, Array], forecaster: Any = None) -> None:
        """Write a result in one step; the forecaster is saved with it if given."""

        def write(folder: Path) -> None:
            if forecaster is not None:
                forecaster.save(folder / "model")
            save_file(
                {key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / "arrays.safetensors"
            )
            # Last, so that a folder with a result is complete.
            (folder / "result.json").write_text(json.dumps({"trial": trial.to_dict()} | summary, indent=1))

        folder = self.folder(trial)
        if folder.exists() and self.get(trial) is None:
            shutil.rmtree(folder)  # damaged
        replace_folder(folder, write)
        self.checkpoint(trial).unlink(missing_ok=True)

    def put_panel(self, panel: Panel) -> None:
        """Keep a panel, so that workers can read it by its fingerprint."""
        folder = self.root / "panels" / panel.fingerprint
        if folder.exists():
            return

        def write(part: Path) -> None:
            dates = panel.time.dtype.kind == "M"
            time = panel.time.astype("datetime64[us]").astype(np.int64) if dates else panel.time.astype(np.int64)
            arrays = {"values": panel.values, "offsets": panel.offsets.astype(np.int64), "time": time}
            if panel.filled is not None:
                arrays["filled"] = panel.filled
            save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, part / "panel.safetensors")
            described = {
                "series": panel.series,
                "channels": panel.channels,
                "frequency": asdict(panel.frequency),
                "name": panel.name,
                "split": panel.split,
                "dates": dates,
                "fills": panel.fills,
                "fill": panel.fill,
            }
            (part / "panel.json").write_text(json.dumps(described))

        replace_folder(folder, write)

    def get_panel(self, fingerprint: str) -> Panel:
        """A kept panel.

        Raises:
            DataError: if it is not there or damaged.
        """
        folder = self.root / "panels" / fingerprint
        try:
            described = json.loads((folder / "panel.json").read_text())
            arrays = load_file(folder / "panel.safetensors")
        except (OSError, json.JSONDecodeError, SafetensorError) as error:
            raise DataError(f"the ledger {self.root} does not hold panel {fingerprint[:12]}: {error}") from error
        time = arrays["time"].astype("datetime64[us]") if described["dates"] else arrays["time"]
        return Panel(
            arrays["values"],
            arrays["offsets"],
            time,
            tuple(described["series"]),
            tuple(described["channels"]),
            Frequency(**described["frequency"]),
            described["name"],
            described["split"],
            described["fills"],
            arrays.get("filled"),
            described.get("fill", ""),  # panels that were kept before there was a mask have neither
        )
