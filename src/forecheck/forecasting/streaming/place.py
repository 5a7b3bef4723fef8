"""The folder of a stream: the fit, and a Parquet file a piece; what is there is whole and of one request."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from forecheck.errors import DataError, UsageError, writing
from forecheck.files import checksum, place_folder, replace_file
from forecheck.forecasters import registry
from forecheck.forecasters.linear import ClosedForm
from forecheck.outputs import sweep
from forecheck.trials.record import is_whole, sealed

_FIT = "_fit"
"""Readers of Parquet folders pass over names that begin so."""
_DESCRIPTION = "stream.json"
_WIDTHS = "intervals.safetensors"


@dataclass(frozen=True)
class StreamFit:
    """A fit on all pieces.

    Attributes:
        forecaster: what forecasts, refitted on all rows if that was asked for.
        widths: half-widths of intervals by level, as `forecheck.forecasting.fitted.Fitted` has them.
        info: what validation chose, losses and counts.
    """

    forecaster: ClosedForm
    widths: dict[str, Float[np.ndarray, "horizon channel"]]
    info: dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where forecasts of a stream are written.

    Attributes:
        folder: of the parts and the fit.
        request: what they are of, as JSON types: a folder holds one.
    """

    folder: Path
    request: Mapping[str, Any]

    def part(self, number: int) -> Path:
        """The file of a piece."""
        return self.folder / f"part-{number:05d}.parquet"

    def parts(self) -> list[Path]:
        """The files that are there."""
        return sorted(self.folder.glob("part-*.parquet"))

    def fit(self) -> StreamFit | None:
        """The fit of an earlier run of the same request, None if there was none.

        Raises:
            UsageError: if the folder holds anything else.
            DataError: if it is damaged.
        """
        try:
            names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot write {self.folder}: {error.strerror}", "Name another folder.") from error
        if not names:
            return None
        if _FIT not in names:
            raise UsageError(
                f"cannot write {self.folder}: it holds {min(names)}, and no stream was begun there",
                "Name another folder.",
            )
        with writing(self.folder):
            sweep(self.folder, ".*.part")
        described = self._described()
        if described["request"] != self._plain:
            other = [key for key, value in self._plain.items() if described["request"].get(key) != value]
            raise UsageError(
                f"cannot write {self.folder}: it holds forecasts of another request (other {', '.join(other)})",
                "Name another folder, or remove this one.",
            )
        return self.saved

    @cached_property
    def saved(self) -> StreamFit:
        """The fit that is there.

        Raises:
            DataError: if it is damaged.
        """
        described = self._described()
        forecaster = registry.load(self.folder / _FIT)
        assert isinstance(forecaster, ClosedForm)
        return StreamFit(forecaster, load_file(self.folder / _FIT / _WIDTHS), described["info"])

    @property
    def _plain(self) -> dict[str, Any]:
        """The request as it is read back."""
        plain: dict[str, Any] = json.loads(json.dumps(self.request))
        return plain

    def _described(self) -> dict[str, Any]:
        damaged = f"{self.folder / _FIT} is not as it was written"
        try:
            text = (self.folder / _FIT / _DESCRIPTION).read_text(encoding="utf-8")
            if is_whole(text):
                described: dict[str, Any] = json.loads(text)
                if all(checksum(self.folder / _FIT / name) == known for name, known in described["files"].items()):
                    return described
        except (OSError, ValueError) as error:
            raise DataError(f"{damaged}: {error}", "Remove the folder, and run the command again.") from error
        raise DataError(damaged, "Remove the folder, and run the command again.")

    def keep(self, fit: StreamFit) -> None:
        """Write the fit, which a run that goes on will find.

        Raises:
            WriteError: if the system does not let it.
        """

        def fill(part: Path) -> None:
            fit.forecaster.save(part)
            save_file({level: np.ascontiguousarray(width) for level, width in fit.widths.items()}, part / _WIDTHS)
            files = {path.name: checksum(path) for path in sorted(part.iterdir())}
            described = {"request": self.request, "info": fit.info, "files": files}
            (part / _DESCRIPTION).write_text(sealed(described), encoding="utf-8")

        place_folder(self.folder / _FIT, fill)

    def write(self, number: int, table: Any) -> None:
        """Write the forecasts of a piece, whole or not at all.

        Raises:
            WriteError: if the system does not let it.
        """
        import pyarrow.parquet as pq

        replace_file(self.part(number), lambda path: pq.write_table(table, path))


def check_folder(folder: Path, data: Path) -> None:
    """Refuse before the work a folder that cannot be written to, or that is part of the data.

    Args:
        folder: of the output.
        data: file or folder that is read.

    Raises:
        UsageError: if it is so.
    """
    place = folder.resolve()
    if place in data.parents or data in (place, *place.parents):
        raise UsageError(
            f"cannot write {folder}: the data lie there, and forecasts would be read as data", "Name another folder."
        )
    if place.exists() and not place.is_dir():
        raise UsageError(f"cannot write {folder}: it is a file")
    at = place if place.exists() else place.parent
    if not at.is_dir():
        raise UsageError(f"cannot write {folder}: the folder {at} does not exist")
    if not os.access(at, os.W_OK | os.X_OK):
        raise UsageError(f"cannot write {folder}: no permission to write to {at}")
