"""A saved detector says of rows what it would say of them in one piece, however they come."""

import functools
import json
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

import forecheck as fc
from detect_panels import detect, frame, panel_of, seasonal
from forecheck.anomaly.detection.saved import load_detector
from forecheck.errors import DataError, UsageError
from forecheck.files import checksum
from forecheck.trials.record import sealed

LOOKBACK, HORIZON = 24, 2


@functools.cache
def saved():
    folder = Path(tempfile.mkdtemp(prefix="detector-"))
    found = detect(panel_of(old()), save=folder / "made", horizon=HORIZON, merge=2, least=2)
    return folder / "made", found


def old():
    return seasonal(channels=2, seed=1)


@functools.cache
def new():
    values = np.concatenate([old(), seasonal(rows=240, channels=2, seed=2)])
    values[[740, 742, 743, 800, 801, 802, 850], 0] += 7
    values[810:830, 1] -= 6
    return frame(values).iloc[720:].reset_index(drop=True)


@functools.cache
def whole():
    return fc.detect(new(), model_dir=saved()[0]).to_pandas()


def key(table):
    return table.sort_values(["unique_id", "ds"]).reset_index(drop=True)


@settings(max_examples=12)
@given(st.sets(st.integers(13, 119).map(lambda half: 2 * half), min_size=1, max_size=3))
def test_any_cut_gives_the_same_rows(cuts):
    import pandas as pd

    borders = [0, *sorted(cuts), 240]
    parts = []
    for start, end in pairwise(borders):
        if end <= LOOKBACK + HORIZON - 1 or end - start < 2:  # too short to be scored, or to be read
            continue
        before = new().iloc[:start] if start else None
        parts.append(fc.detect(new().iloc[start:end], model_dir=saved()[0], before=before).to_pandas())
    pd.testing.assert_frame_equal(key(pd.concat(parts)), key(whole()), check_exact=True)


def test_a_piece_needs_no_more_before_it_than_the_last_quiet_stretch_and_the_lookback():
    import pandas as pd

    loud = whole().groupby("ds").p_value.min() <= 0.01
    quiet = next(row for row in range(120, 240) if not loud[new().ds[row - 4] : new().ds[row - 1]].any())
    near = new().iloc[quiet - LOOKBACK - HORIZON + 1 - 5 : quiet]
    part = fc.detect(new().iloc[quiet:], model_dir=saved()[0], before=near).to_pandas()
    later = whole()[whole().ds >= new().ds[quiet]]
    pd.testing.assert_frame_equal(key(part), key(later), check_exact=True)


def test_the_scored_part_of_its_own_data_is_scored_as_when_it_was_made():
    folder, found = saved()
    again = fc.detect(panel_of(old()), model_dir=folder).to_pandas()
    first = found.to_pandas()
    merged = first.merge(again, on=["unique_id", "ds"], suffixes=("", "_again"))
    assert len(merged) == len(first)
    np.testing.assert_array_equal(merged.score, merged.score_again)
    np.testing.assert_array_equal(merged.p_value, merged.p_value_again)


def test_the_folder_forecasts_as_a_fit_does_and_is_replaced_as_a_detector():
    folder, _ = saved()
    assert len(fc.forecast(panel_of(old()), model_dir=folder).columns["ds"]) == 2 * HORIZON
    with pytest.raises(UsageError, match="no part of a fit"):
        fc.fit(panel_of(old()), horizon=1, model="last", output=folder, workers=0)


def test_labels_are_judged_and_never_scored():
    labels = np.zeros(240, dtype=int)
    labels[[20, 22, 23, 80, 81, 82, 130]] = 1
    found = fc.detect(new().assign(bad=labels), model_dir=saved()[0], labels="bad")
    assert key(found.to_pandas()).equals(key(whole()))
    assert set(found.data["labelled"]["detectors"]) == {"nlinear", "random"}


def test_rows_that_do_not_follow_are_refused():
    with pytest.raises(DataError, match="does not go on where"):
        fc.detect(new().iloc[100:], model_dir=saved()[0], before=new().iloc[:90])


def test_rows_without_times_are_numbered_on(tmp_path):
    rows = frame(seasonal()).drop(columns="ds")
    fitted = detect(rows[:600], save=tmp_path / "made", period=12)
    assert any("no time column" in note for note in fitted.data["notes"])
    one = fc.detect(rows, model_dir=tmp_path / "made").to_pandas()
    two = fc.detect(rows[650:], model_dir=tmp_path / "made", before=rows[:650]).to_pandas()
    np.testing.assert_array_equal(one.score[one.ds >= two.ds.min()], two.score)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.iloc[:10], "too few rows for a score"),
        (lambda table: table[["ds", "c0"]], 'lacks "c1"'),
        (lambda table: table.assign(ds=table.ds.dt.year.astype(str) + "-01-01").iloc[::12], "a row every"),
    ],
)
def test_data_of_another_kind_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        fc.detect(change(new()), model_dir=saved()[0])


def test_another_horizon_is_refused():
    with pytest.raises(UsageError, match="looks 2 steps ahead"):
        fc.detect(new(), model_dir=saved()[0], horizon=1)


@pytest.mark.parametrize("name", ["detector.json", "detector.safetensors", "fit.json", "weights.safetensors"])
def test_a_damaged_folder_is_refused(name, tmp_path):
    folder = tmp_path / "made"
    detect(panel_of(seasonal()), save=folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match="does not hold"):
        fc.detect(panel_of(seasonal()), model_dir=folder)


@pytest.mark.parametrize("correlation", [np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 0.5], [0.0, 1.0]])])
def test_correlations_that_are_none_are_refused(correlation, tmp_path):
    """With checksums that fit, as somebody who means harm would write them."""
    folder = shutil.copytree(saved()[0], tmp_path / "made")
    arrays = load_file(folder / "detector.safetensors")
    save_file(arrays | {"correlation": correlation}, folder / "detector.safetensors")
    record = json.loads((folder / "detector.json").read_text())
    record["files"]["detector.safetensors"] = checksum(folder / "detector.safetensors")
    del record["sha256"]
    (folder / "detector.json").write_text(sealed(record))
    with pytest.raises(DataError, match="the correlations are none"):
        load_detector(folder)


def test_a_plain_fit_is_no_detector(tmp_path):
    fc.fit(panel_of(seasonal()), horizon=1, model="last", output=tmp_path / "fit", workers=0)
    with pytest.raises(DataError, match="not calibrated as a detector"):
        fc.detect(panel_of(seasonal()), model_dir=tmp_path / "fit")
    with pytest.raises(DataError, match="holds no detector"):
        fc.detect(panel_of(seasonal()), model_dir=tmp_path)
