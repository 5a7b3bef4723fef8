"""Readers of data and of settings."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
from common import CELLS, NUMBERS, mutated, text, value

import forecheck as fc
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task


def _right(panel: fc.Panel) -> None:
    """What every panel that was read holds."""
    assert np.isfinite(panel.values).all(), "a value that is not finite"
    assert panel.values.ndim == 2
    assert len(panel.values) == len(panel.time) == panel.offsets[-1]
    assert len(panel.channels) == panel.values.shape[1] == len(set(panel.channels))
    assert len(panel.series) == len(panel.offsets) - 1 == len(set(panel.series))
    for index in range(len(panel.series)):
        assert (np.diff(panel.time[panel.series_rows(index)].astype(np.int64)) > 0).all(), "times do not go on"


def _asked(draw: random.Random, names: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if draw.random() < 0.2:
        given["time"] = draw.choice(names)
    if draw.random() < 0.1:
        given["series"] = draw.choice(names)
    if draw.random() < 0.2:
        given["fill"] = draw.choice(["linear", "last", "seasonal", text(draw)])
    if draw.random() < 0.1:
        given["target"] = [draw.choice(names)]
    if draw.random() < 0.1:
        given["known"] = [draw.choice(names)]
    return given


def _used(draw: random.Random, panel: fc.Panel) -> None:
    _right(panel)
    if draw.random() < 0.3:
        made = fc.forecast(panel, horizon=2, model="last", workers=0)
        assert np.isfinite(np.asarray(made.columns["last"])).all()


def csv(draw: random.Random, folder: Path) -> None:
    """Tables that are right, then cells, delimiters, quotes, ends of lines and bytes that are not."""
    rows, columns = draw.choice([0, 1, 2, 30, 60]), draw.choice([1, 2, 3, 5])
    mark, end = draw.choice(",,,;\t| "), draw.choice(["\n", "\n", "\r\n", "\r"])
    names = ["date", *(draw.choice([f"c{each}", text(draw)]) for each in range(columns))]
    quote = draw.choice(["", "", '"'])
    lines = [mark.join(f"{quote}{name}{quote}" for name in names)] if draw.random() < 0.9 else []
    wild = draw.choice([0, 0, 0.01, 0.3])
    for row in range(rows):
        stamp = np.datetime64("2024-01-01") + row
        cells = [str(stamp), *(f"{draw.gauss(0, 1):.4f}" for _ in range(columns))]
        if wild:
            cells = [draw.choice([*CELLS, text(draw)]) if draw.random() < wild else cell for cell in cells]
        lines.append(mark.join(cells))
    content = end.join([*lines, ""]).encode(
        draw.choice(["utf-8", "utf-8", "utf-16", "latin-1", "utf-8-sig"]), "replace"
    )
    path = folder / "data.csv"
    path.write_bytes(mutated(draw, content) if draw.random() < 0.5 else content)
    written: dict[str, Any] = {}
    if draw.random() < 0.1:
        written["decimal"] = draw.choice([",", ".", text(draw)])
    if draw.random() < 0.1:
        written["delimiter"] = draw.choice([",", "tab", text(draw)])
    if draw.random() < 0.1:
        written["skip"] = draw.choice([0, 1, 10**6])
    _used(draw, fc.load(path, **_asked(draw, names), **written))


def parquet(draw: random.Random, folder: Path) -> None:
    """Tables of every type that Parquet holds, and bytes that are not as they were written."""
    import pyarrow.parquet

    path = folder / "data.parquet"
    table = _table(draw)
    pyarrow.parquet.write_table(table, path, compression=draw.choice(["snappy", "none", "zstd"]))
    if draw.random() < 0.6:
        path.write_bytes(mutated(draw, path.read_bytes()))
    _used(draw, fc.load(path, **_asked(draw, table.column_names or ["a"])))


def frames(draw: random.Random, folder: Path) -> None:
    """The same types as a frame of arrow's or pandas'."""
    table = _table(draw)
    frame = table if draw.random() < 0.5 else table.to_pandas()
    _used(draw, fc.load(frame, **_asked(draw, table.column_names or ["a"])))


def _table(draw: random.Random) -> Any:
    import datetime as dt
    import decimal

    import pyarrow as pa

    calm = draw.random() < 0.5  # a table that can be used, else nearly all are refused
    rows = 40 if calm else draw.choice([0, 1, 40])
    day = [dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(each) for each in range(rows)]
    kinds = [
        lambda: pa.array([draw.gauss(0, 1) for _ in range(rows)]),
        lambda: pa.array([draw.choice([1.0, None, float("nan"), float("inf"), 1e300]) for _ in range(rows)]),
        lambda: pa.array([draw.randrange(-5, 5) for _ in range(rows)], pa.int8()),
        lambda: pa.array([2**63 + each for each in range(rows)], pa.uint64()),
        lambda: pa.array([draw.choice([True, None]) for _ in range(rows)], pa.bool_()),
        lambda: pa.array([text(draw) for _ in range(rows)]),
        lambda: pa.array([draw.choice(NUMBERS) for _ in range(rows)]).dictionary_encode(),
        lambda: pa.array([decimal.Decimal(each) / 8 for each in range(rows)], pa.decimal128(38, 10)),
        lambda: pa.array([[1, 2]] * rows),
        lambda: pa.array([{"a": 1}] * rows, pa.struct([("a", pa.int64())])),
        lambda: pa.array([b"\x00\xff"] * rows, pa.binary()),
        lambda: pa.nulls(rows),
        lambda: pa.array(day, pa.timestamp("ns", draw.choice([None, "UTC", "Europe/Berlin"]))),
        lambda: pa.array(day[::-1], pa.date32()),
        lambda: pa.array([each * 10**17 for each in range(rows)], pa.timestamp(draw.choice(["us", "ms"]))),
        lambda: pa.array(range(rows), pa.time64("us")),
        lambda: pa.array(range(rows), pa.duration("s")),
    ]
    dates = pa.array(day, pa.timestamp("us"))
    kinds = [kinds[0], kinds[2]] if calm else kinds
    arrays = [
        *([dates] if calm or draw.random() < 0.8 else []),
        *(draw.choice(kinds)() for _ in range(draw.choice([0, 1, 3]))),
    ]
    names = ["date", *(draw.choice(["y", f"c{each}", text(draw)]) for each in range(len(arrays)))][: len(arrays)]
    return pa.table(arrays, names=names)


def settings(draw: random.Random, folder: Path) -> None:
    """`--set model.option=value`."""
    from forecheck.cli.options import read_settings

    name = draw.choice([each.name for each in registry.all_forecasters()])
    known = list(registry.defaults(registry.find(name)))
    values = [*NUMBERS, "true", "null", "[1]", "1e400", "9" * 400, "-1", "0.5", "1000000000", text(draw)]
    written = []
    for _ in range(draw.choice([1, 2])):
        option = draw.choice([*known, text(draw)]) if known else text(draw)
        written.append(f"{draw.choice([name, name, name, text(draw)])}.{option}={draw.choice(values)}")
    for model, options in read_settings(written).items():
        made = registry.create(model, Task(lookback=24, horizon=6, channels=2, period=24), options)
        assert made.name == model


def config(draw: random.Random, folder: Path) -> None:
    """`[tool.forecheck]` of a pyproject.toml."""
    from forecheck.cli.audit import check_fail_on
    from forecheck.cli.settings import project_settings

    plain = b'[tool.forecheck]\nselect = ["FC3"]\nignore = ["FC301"]\nremedy = ["rope"]\nfail-on = ["hurts"]\n'
    if draw.random() < 0.5:
        lines = [f"{draw.choice(['select', 'ignore', 'fail-on', 'colour'])} = {value(draw)!r}"]
        plain = "\n".join(["[tool.forecheck]", *lines, ""]).encode("utf-8", "replace")
    (folder / "pyproject.toml").write_bytes(mutated(draw, plain) if draw.random() < 0.7 else plain)
    found = project_settings(folder)
    check_fail_on(found.fail_on)
    assert all(isinstance(each, str) for each in (*found.select, *found.ignore, *found.remedy))
