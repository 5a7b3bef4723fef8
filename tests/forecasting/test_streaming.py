"""Streams: the numbers of the fit in memory, whatever the pieces; and runs that go on where they were stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import forecheck as fc
from forecheck.data.reading import pieces
from forecheck.forecasting import fit as fitting
from forecheck.forecasting.streaming import run, spread
from forecheck.forecasting.streaming.worker import start
from forecheck.processes import Pool

DAY = np.timedelta64(86_400_000_000, "us")


def table_of(series=16, channels=("y",), seed=0):
    """Series of several lengths; one begins late, one in a row never changes, ids are not sorted."""
    rng = np.random.default_rng(seed)
    columns = {"unique_id": [], "ds": [], **{name: [] for name in channels}}
    for number in rng.permutation(series):
        length = 150 - int(number) % 5 * 7 if number else 40
        stamps = np.datetime64("2024-01-01", "us") + (150 - length + np.arange(length)) * DAY
        columns["unique_id"].append(np.full(length, f"s{number}"))
        columns["ds"].append(stamps)
        for place, name in enumerate(channels):
            y = np.sin(2 * np.pi * np.arange(length) / 7 + place) + rng.normal(size=length).cumsum() * 0.2 + number
            columns[name].append(y if number != 5 else np.ones(length))
    return pa.table({key: np.concatenate(each) for key, each in columns.items()})


@pytest.fixture
def small(monkeypatch):
    """Pieces of about four series."""
    monkeypatch.setattr(pieces, "_VALUES", 500)
    monkeypatch.setattr(pieces, "_BATCH", 64)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "panel"
    folder.mkdir()
    table = table_of()
    pq.write_table(table.slice(0, 1000), folder / "a.parquet")  # a series goes on in the next file
    pq.write_table(table.slice(1000), folder / "b.parquet", row_group_size=333)
    return folder


@pytest.mark.parametrize(
    ("model", "how"),
    [
        ("nlinear", {}),
        ("dlinear", {"lookback": 30, "split": "60/20/20", "options": {"dlinear": {"kernel": 7}}}),
        ("linear", {"refit": False, "split": "2024-04-10,2024-05-01", "options": {"linear": {"ridge": 0.1}}}),
        ("rlinear", {"channels": ("y", "z"), "target": ["y", "z"], "options": {"rlinear": {"per_channel": True}}}),
    ],
)
def test_numbers_are_those_of_the_fit_in_memory(model, how, small, tmp_path):
    channels, target = how.pop("channels", ("y",)), how.pop("target", "y")
    table = table_of(channels=channels)
    pq.write_table(table, tmp_path / "panel.parquet")
    panel = fc.load(table, target=target)
    kept = fc.fit(panel, horizon=5, model=model, level=[80, 95], workers=0, store=tmp_path / "store", **how)
    made = fc.stream(
        tmp_path / "panel.parquet",
        horizon=5,
        output=tmp_path / "out",
        model=model,
        level=[80, 95],
        target=target,
        **how,
    )
    assert len(made.parts) > 4
    for name in ("lookback", "calibration_windows", "refitted"):
        assert made.info[name] == kept.info[name]
    assert made.info["test_mse"] == pytest.approx(kept.info["test_mse"], rel=1e-5)  # scored in float32 there
    assert made.info["notes"][0].split(":")[0] == kept.info["notes"][0].split(":")[0]
    for name, tensor in load_file(tmp_path / "out" / "_fit" / "weights.safetensors").items():
        np.testing.assert_allclose(tensor, kept.forecaster.tensors()[name].numpy(), rtol=1e-10, atol=1e-10)
    for level, width in load_file(tmp_path / "out" / "_fit" / "intervals.safetensors").items():
        np.testing.assert_allclose(width, kept.width(float(level)), rtol=1e-5)
    expected = fc.forecast(
        panel.only(np.isin(panel.series, kept.series)), horizon=5, model=model, level=[80, 95], workers=0, **how
    ).to_arrow()
    found = pq.read_table(tmp_path / "out")
    assert found.column_names == expected.column_names
    assert found.select(["unique_id", "ds"]).equals(expected.select(["unique_id", "ds"]))
    for name in found.column_names[2:]:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-6, atol=1e-6)


def test_intervals_are_those_of_the_same_windows_where_not_all_residuals_are_kept(small, data, tmp_path, monkeypatch):
    for module in (fitting, sys.modules["forecheck.forecasting.streaming.fit"]):
        monkeypatch.setattr(module, "RESIDUALS", 500)
    kept = fc.fit(fc.load(pq.read_table(data)), horizon=5, model="nlinear", level=80, workers=0)
    fc.stream(data, horizon=5, output=tmp_path / "out", level=80)
    width = load_file(tmp_path / "out" / "_fit" / "intervals.safetensors")["80"]
    np.testing.assert_allclose(width, kept.width(80), rtol=1e-5)


def test_a_run_goes_on_with_the_parts_that_are_left(small, data, tmp_path, monkeypatch):
    whole = fc.stream(data, horizon=5, output=tmp_path / "whole", level=80)
    written = []

    def stopped(self, number, table):
        if number == 3:
            raise KeyboardInterrupt
        written.append(number)
        return keep(self, number, table)

    keep = run.Place.write
    with monkeypatch.context() as patched:
        patched.setattr(run.Place, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            fc.stream(data, horizon=5, output=tmp_path / "out", level=80)
    monkeypatch.setattr(run, "fit_stream", None)  # the fit is there
    times = [path.stat().st_mtime_ns for path in sorted((tmp_path / "out").glob("part-*"))]
    again = fc.stream(data, horizon=5, output=tmp_path / "out", level=80)
    assert [path.stat().st_mtime_ns for path in again.parts[:3]] == times
    assert pq.read_table(tmp_path / "out").equals(pq.read_table(tmp_path / "whole"))
    assert again.info == whole.info
    monkeypatch.setattr(pieces.Pieces, "tables", None)  # nothing is read
    assert fc.stream(data, horizon=5, output=tmp_path / "out", level=80).parts == again.parts


SLOW = """
import sys, time
import forecheck as fc
from forecheck.data.reading import pieces
from forecheck.forecasting.streaming.place import Place
pieces._VALUES, pieces._BATCH = 500, 64
write = Place.write
Place.write = lambda self, number, table: (write(self, number, table), time.sleep(0.3))
fc.stream(sys.argv[1], horizon=5, output=sys.argv[2])
"""


def test_a_killed_run_goes_on(small, data, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(data), str(out)])
    while len(list(out.glob("part-*"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    first = (out / "part-00000.parquet").stat().st_mtime_ns
    made = fc.stream(data, horizon=5, output=out)
    assert made.parts[0].stat().st_mtime_ns == first
    assert pc.count_distinct(pq.read_table(out)["unique_id"]).as_py() == made.info["series"] == 15


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"horizon": 6}, "another request .*horizon"),
        ({"level": 90}, "another request .*levels"),
        ({"model": "linear"}, "another request .*model, options|another request .*model"),
        ({"drop": "z"}, 'no column "z"'),
        ({"model": "patchtst"}, "cannot be streamed"),
        ({"model": "auto"}, "cannot be streamed"),
        ({"options": {"linear": {"ridge": 1}}}, "no effect"),
        ({"split": "50+20+20", "output": "other"}, "cannot be split"),
        ({"lookback": 0}, "must be positive"),
        ({"time": "when"}, 'no column "when"'),
        ({"horizon": 500, "output": "other"}, "too short"),
        ({"lookback": 149, "output": "other"}, "fewer than the lookback"),
        ({"level": 99.999, "output": "other"}, "calibration windows"),
    ],
)
def test_what_cannot_be_done_is_refused(how, message, small, data, tmp_path):
    out = tmp_path / how.pop("output", "out")
    usual = {"horizon": 5, "model": "nlinear"}
    fc.stream(data, output=tmp_path / "out", **usual)
    with pytest.raises(fc.ForecheckError, match=message):
        fc.stream(data, output=out, **(usual | how))


def test_a_folder_of_something_else_is_left_alone(data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    for folder in (tmp_path / "mine", data, data / "out", tmp_path, tmp_path / "no" / "where"):
        with pytest.raises(fc.UsageError, match="cannot write"):
            fc.stream(data, horizon=5, output=folder)


def broken(name):
    table = table_of(8)
    names, stamps, y = (table[column].to_numpy() for column in ("unique_id", "ds", "y"))
    if name == "interleaved":
        return table.take(np.argsort(stamps, kind="stable"))
    if name == "missing value":
        y = y.copy()
        y[700] = np.nan
    if name == "missing row":
        return pa.table({"unique_id": names, "ds": stamps, "y": y}).filter(np.arange(len(y)) != 700)
    if name == "missing name":
        return pa.table({"unique_id": pa.array([None, *names[1:].tolist()]), "ds": stamps, "y": y})
    if name == "another step":
        stamps = np.where(np.arange(len(y)) >= 700, (stamps - stamps.min()) * 2 + stamps.min(), stamps)
    if name == "text times":
        return pa.table({"unique_id": names, "ds": stamps.astype(str), "y": y})
    if name == "no series":
        return pa.table({"ds": stamps, "y": y})
    return pa.table({"unique_id": names, "ds": stamps, "y": y})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("interleaved", "do not follow each other"),
        ("missing value", "1 missing value .*row 700"),
        ("missing row", "lacks 1 step"),
        ("missing name", "name of the series is missing"),
        ("another step", "has a row every day|irregular times|lacks"),
        ("text times", "times of type"),
        ("no series", "no column that names series"),
    ],
)
def test_data_that_cannot_be_streamed_are_refused(name, message, small, tmp_path):
    pq.write_table(broken(name), tmp_path / "panel.parquet")
    with pytest.raises(fc.ForecheckError, match=message):
        fc.stream(tmp_path / "panel.parquet", horizon=5, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "unique_id,ds,y\na,2024-01-01,1\n"])
def test_a_file_of_text_is_no_damaged_parquet(text, tmp_path):
    (tmp_path / "panel.csv").write_text(text)
    with pytest.raises(fc.DataError, match=r"^panel.csv is no Parquet file, and a stream reads no other"):
        fc.stream(tmp_path / "panel.csv", horizon=5, output=tmp_path / "out")


def test_the_remedy_for_rows_that_are_scattered_is_right(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "panel").mkdir()
    table = broken("interleaved")
    pq.write_table(table.slice(0, 500), "panel/1.parquet")
    pq.write_table(table.slice(500), "panel/2.parquet")
    with pytest.raises(fc.DataError) as caught:
        fc.stream("panel", horizon=5, output="out")
    code = caught.value.remedy.partition('python -c "')[2].removesuffix('"')
    exec(code, {})
    assert fc.stream("sorted.parquet", horizon=5, output="out").info["series"] == 7


def test_columns_in_names_of_folders(small, tmp_path):
    table = table_of(6)
    for name in ("s0", "s1", "s2", "s3"):
        folder = tmp_path / "y=1" / "panel" / f"unique_id={name}"
        folder.mkdir(parents=True)
        pq.write_table(table.filter(pc.equal(table["unique_id"], name)).drop_columns("unique_id"), folder / "1.parquet")
    (tmp_path / "y=1" / "panel" / "_SUCCESS.parquet").write_bytes(b"")
    made = fc.stream(tmp_path / "y=1" / "panel", horizon=3, output=tmp_path / "out", lookback=20)
    assert sorted(set(pq.read_table(made.folder)["unique_id"].to_pylist())) == ["s0", "s1", "s2", "s3"]


def test_whole_numbers_stay_such(small, tmp_path):
    ids, steps = np.repeat(np.arange(12), 60), np.tile(np.arange(60), 12)
    y = np.random.default_rng(0).normal(size=720)
    pq.write_table(pa.table({"item_id": ids, "timestamp": steps, "target": y}), tmp_path / "p.parquet")
    made = pq.read_table(fc.stream(tmp_path / "p.parquet", horizon=2, output=tmp_path / "out", lookback=8).folder)
    assert made["unique_id"].to_pylist()[::2] == list(range(12))
    assert made["ds"].to_pylist()[:2] == [60, 61]


class Here(Pool):
    """Workers of this process, which know nothing but the folder."""

    def __init__(self, folder):
        self.job, self.asked = start(folder), []

    def close(self):
        pass

    def run(self, queue, jobs):
        while queue:
            job = queue.pop()  # the last first
            message = json.loads(json.dumps(jobs.message(job)))
            self.asked.append((message["step"], *message["numbers"]))
            jobs.finished(job, self.job(message, lambda *_: None))


@pytest.fixture
def here(monkeypatch):
    made = []

    def pool(workers, folder):
        del workers
        made.append(Here(folder))
        return made[-1]

    monkeypatch.setattr(spread, "_pool", pool)
    return made


def same_folders(one, other):
    names = sorted(path.relative_to(one).as_posix() for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other).as_posix() for path in other.rglob("*") if path.is_file())
    for name in names:
        if not name.endswith(".json"):  # which hold when and where
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"model": "rlinear", "lookback": 30, "split": "60/20/20", "target": ["y", "z"]},
        {"model": "rlinear", "target": ["y", "z"], "options": {"rlinear": {"per_channel": True}}},
    ],
)
def test_workers_give_the_same_to_the_last_bit(how, small, here, tmp_path):
    pq.write_table(table_of(channels=("y", "z")), tmp_path / "panel.parquet", row_group_size=700)
    usual = {"horizon": 5, "level": [80, 95], "target": "y"} | how
    one = fc.stream(tmp_path / "panel.parquet", output=tmp_path / "one", workers=0, **usual)
    assert not here
    other = fc.stream(tmp_path / "panel.parquet", output=tmp_path / "other", workers=2, **usual)
    assert len(here[0].asked) > 8
    assert one.info == other.info
    same_folders(tmp_path / "one", tmp_path / "other")


def test_workers_write_the_parts_that_are_left(small, data, here, tmp_path):
    whole = fc.stream(data, horizon=5, output=tmp_path / "whole", workers=0)
    fc.stream(data, horizon=5, output=tmp_path / "out", workers=0)
    for number in (1, 3):
        (tmp_path / "out" / f"part-{number:05d}.parquet").unlink()
    fc.stream(data, horizon=5, output=tmp_path / "out", workers=2)
    assert sorted(here[0].asked) == [("step-1", 1), ("step-1", 3)]
    assert pq.read_table(tmp_path / "out").equals(pq.read_table(whole.folder))


@pytest.mark.parametrize("name", ["missing value", "another step"])
def test_what_a_worker_refuses_is_refused(name, small, here, tmp_path):
    pq.write_table(broken(name), tmp_path / "panel.parquet")
    with pytest.raises(fc.DataError) as caught:
        fc.stream(tmp_path / "panel.parquet", horizon=5, output=tmp_path / "one", workers=0)
    with pytest.raises(fc.DataError) as again:
        fc.stream(tmp_path / "panel.parquet", horizon=5, output=tmp_path / "out", workers=2)
    assert str(again.value) == str(caught.value)
    assert here
    assert not (tmp_path / "out").exists()


def test_data_that_change_under_workers_are_noticed(small, data, here, tmp_path, monkeypatch):
    def pool(workers, folder):
        del workers
        os.utime(data / "b.parquet", (0, 0))
        return Here(folder)

    monkeypatch.setattr(spread, "_pool", pool)
    with pytest.raises(fc.DataError, match="not the same here"):
        fc.stream(data, horizon=5, output=tmp_path / "out", workers=2)


def test_real_workers(small, data, tmp_path):
    fc.stream(data, horizon=5, output=tmp_path / "one", level=80, workers=0)
    fc.stream(data, horizon=5, output=tmp_path / "other", level=80, workers=1)
    same_folders(tmp_path / "one", tmp_path / "other")


@pytest.mark.parametrize("layout", [[1000], [300, 300, 1], [64] * 20, [5, 2000]])
@pytest.mark.parametrize("groups", [50, 333, 10_000])
def test_tables_are_those_of_the_data_whatever_is_asked_for(layout, groups, small, tmp_path):
    table, first = table_of(), 0
    for number, rows in enumerate([*layout, len(table_of())]):
        if part := table.slice(first, rows):
            pq.write_table(part, tmp_path / f"{number:02d}.parquet", row_group_size=groups)
        first += rows
    divided = pieces.open_pieces(tmp_path).divided()
    assert divided.begins[0] == 0
    assert divided.begins[-1] == len(table)
    every = dict(divided.tables())
    for number, (begin, end) in enumerate(pairwise(divided.begins)):
        assert every[number].select(table.column_names).equals(table.slice(begin, end - begin).combine_chunks())
    wanted = {0, len(every) - 1, len(every) // 2}
    some = dict(divided.tables(wanted))
    assert some.keys() == wanted
    assert all(some[number].equals(every[number]) for number in wanted)
