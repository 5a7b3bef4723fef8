"""Model folders from others: every file may hold anything, with checksums that fit."""

from __future__ import annotations

import functools
import json
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
from common import changed, mutated, value
from safetensors.numpy import load_file, save_file

import forecheck as fc
from forecheck.anomaly.detection.saved import load_detector
from forecheck.files import checksum
from forecheck.forecasting.saved import load_fit
from forecheck.trials.record import sealed

_MODELS = ("nlinear", "dlinear", "seasonal", "patchtst", "combination")


@functools.cache
def _panel() -> fc.Panel:
    import pyarrow as pa

    time = np.datetime64("2024-01-01T00", "us") + np.arange(400) * np.timedelta64(1, "h")
    waves = np.sin(np.arange(400)[:, None] / 4 + np.arange(2)) + 0.1 * np.random.default_rng(0).standard_normal(
        (400, 2)
    )
    return fc.load(pa.table({"date": time, "a": waves[:, 0], "b": waves[:, 1]}))


@functools.cache
def _sound(kind: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="forecheck-fuzz-sound-"))
    options = {"patchtst": {"epochs": 1, "width": 8, "heads": 2, "hidden": 8, "layers": 1, "patch": 8, "stride": 8}}
    if kind == "detector":
        fc.detect(_panel(), model="nlinear", horizon=6, lookback=24, workers=0, save=folder / "fit")
    else:
        given = {"options": options} if kind in options else {}
        given |= {} if kind == "combination" else {"lookback": 24}
        fc.fit(_panel(), model=kind, horizon=6, workers=0, output=folder / "fit", **given)
    return folder / "fit"


def _damage(draw: random.Random, folder: Path) -> None:
    """One to three changes, after which checksums are right again (mostly)."""
    for _ in range(draw.choice([1, 1, 3])):
        path = draw.choice(sorted(folder.iterdir()))
        if not path.is_file():
            continue
        how = draw.random()
        if how < 0.15:
            path.write_bytes(mutated(draw, path.read_bytes()))
        elif how < 0.2:
            path.unlink()
            draw.choice([path.mkdir, lambda p=path: p.symlink_to("/etc/passwd"), lambda p=path: p.symlink_to(p.name)])()
        elif how < 0.25:
            (folder / ".next").mkdir(exist_ok=True)
            (folder / ".next" / draw.choice([path.name, "strange"])).write_bytes(draw.randbytes(20))
        elif path.suffix == ".json":
            try:
                described = json.loads(path.read_text())
            except ValueError:  # damaged already
                continue
            if isinstance(described, dict):
                described.pop("sha256", None)
            made = changed(draw, described)
            path.write_text(json.dumps(made), encoding="utf-8", errors="replace")
        else:
            _arrays(draw, path)
    if draw.random() < 0.9:
        _reseal(draw, folder)


def _arrays(draw: random.Random, path: Path) -> None:
    try:
        arrays = load_file(path)
    except Exception:  # noqa: BLE001  damaged already
        return
    key = draw.choice([*arrays, "new"]) if arrays else "new"
    array = arrays.pop(key, np.ones(3))
    made = draw.choice(
        [
            array * np.nan,
            array[:1] if array.ndim else array,
            -array,
            array.astype(np.int64),
            array * 1e38,
            array * 0,
            array[None],
        ]
    )
    if draw.random() < 0.9:
        arrays[draw.choice([key, key, key, "../x", ""])] = np.ascontiguousarray(made)
    save_file(arrays, path)


def _reseal(draw: random.Random, folder: Path) -> None:
    for name in ("fit.json", "detector.json"):
        try:
            described = json.loads((folder / name).read_text())
            described.pop("sha256", None)
            names = described.get("files", {})
            described["files"] = {each: checksum(folder / each) for each in names if (folder / each).is_file()}
            if draw.random() < 0.1:
                described["files"][draw.choice(["../../../etc/passwd", "/etc/passwd", "..", "\x00"])] = value(draw)
            (folder / name).write_text(sealed(described), encoding="utf-8")
        except (OSError, ValueError, AttributeError, TypeError):
            continue


def _others(folder: Path) -> dict[str, float]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def fits(draw: random.Random, folder: Path) -> None:
    """`forecheck forecast --model-dir`."""
    shutil.copytree(_sound(draw.choice(_MODELS)), folder / "fit")
    (folder / "beside").write_text("x")
    _damage(draw, folder / "fit")
    before = _others(folder.parent) | {"cwd": float(len(list(Path().iterdir())))}
    try:
        fitted = load_fit(folder / "fit")
        made = fc.forecast(_panel(), model_dir=folder / "fit")
        numbers = [column for name, column in made.columns.items() if name not in ("unique_id", "ds")]
        assert all(np.isfinite(np.asarray(column, dtype=float)).all() for column in numbers), "not finite"
        assert "\x1b" not in repr(fitted)
    finally:
        after = _others(folder.parent) | {"cwd": float(len(list(Path().iterdir())))}
        inside = str(folder / "fit")
        touched = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert not [name for name in touched if not name.startswith((inside, f"{folder.parent}/home"))], touched


def detectors(draw: random.Random, folder: Path) -> None:
    """`forecheck detect --model-dir`."""
    shutil.copytree(_sound("detector"), folder / "fit")
    _damage(draw, folder / "fit")
    load_detector(folder / "fit")
    found = fc.detect(_panel(), model_dir=folder / "fit")
    assert found.to_text()
