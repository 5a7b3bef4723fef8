"""Detection from end to end, on series on which it is known what is anomalous."""

import numpy as np
import pytest

import forecheck as fc
from detect_panels import detect, frame, panel_of, seasonal
from forecheck.anomaly.detection.planted import KINDS, plant
from forecheck.errors import DataError, UsageError


def rows_of(found, name=None):
    table = found.to_pandas()
    return table if name is None else table[table.unique_id == name]


@pytest.fixture(scope="module")
def spiked():
    values = seasonal()
    places = [560, 601, 666]
    values[places] += 8
    return values, places


def test_spikes_are_alarms_in_the_units_of_the_data_and_everything_else_is_quiet(spiked):
    values, places = spiked
    found = detect(panel_of(values))
    table = rows_of(found)
    assert list(table) == ["unique_id", "ds", "y", "yhat", "score", "p_value", "alarm", "segment"]
    assert len(table) == 720 - 504
    alarms = set(np.flatnonzero(table.alarm) + 504)
    assert set(places) <= alarms
    assert len(alarms) <= 15
    np.testing.assert_allclose(table.y, values[504:, 0])
    assert np.abs(table.yhat - table.y)[~table.alarm].max() < 3
    assert table.segment[table.alarm].notna().all()
    assert table.segment[~table.alarm].isna().all()


@pytest.mark.parametrize("horizon", [1, 3])
def test_nothing_that_comes_later_changes_what_is_said_of_a_row(horizon):
    values = seasonal(channels=2)
    other = values.copy()
    other[650:] += 100
    one, two = (rows_of(detect(panel_of(each), horizon=horizon)) for each in (values, other))
    early = one.ds < one.ds.unique()[650 - 504]
    for column in ("yhat", "score", "p_value", "alarm"):
        np.testing.assert_array_equal(one[column][early], two[column][early])


def test_labels_change_no_score(spiked):
    values, places = spiked
    labels = np.zeros(720, dtype=int)
    labels[places] = 1
    data = frame(values, outage=labels)
    plain, labelled, other = (
        detect(frame(values)),
        detect(data, labels="outage"),
        detect(frame(values), labels=1 - labels),
    )
    np.testing.assert_array_equal(plain.to_csv(), labelled.to_csv())
    np.testing.assert_array_equal(plain.to_csv(), other.to_csv())
    assert labelled.data["labelled"]["anomalies"] == 3
    by_model = labelled.data["labelled"]["detectors"]
    assert by_model["nlinear"]["composite"][0] > by_model["random"]["composite"][0]


def test_forgotten_labels_are_noticed(spiked):
    labels = np.arange(720) % 97 == 5
    found = detect(frame(spiked[0], label=labels.astype(int)))
    assert any("--labels" in note for note in found.data["notes"])


def test_what_was_filled_is_not_scored(spiked):
    values = spiked[0].copy()
    values[[200, 450, 610, 611]] = np.nan
    found = detect(panel_of(values, fill="linear"))
    table = rows_of(found)
    missing = np.isin(np.arange(504, 720), [610, 611])
    assert table.score[missing].isna().all()
    assert table.y[missing].isna().all()
    assert not table.alarm[missing].any()
    assert table.score[~missing].notna().all()
    assert any("2 of 216 places have no score" in note for note in found.data["notes"])
    assert b"nan" not in found.to_csv()


def test_several_channels_have_a_joint_stream_and_several_series_each_their_own(tmp_path):
    import pandas as pd

    found = detect(panel_of(seasonal(channels=2)))
    assert found.to_pandas().unique_id.unique().tolist() == ["c0", "c1", "joint"]
    assert rows_of(found, "joint").y.isna().all()
    long = pd.concat([frame(seasonal(seed=seed)).assign(unique_id=f"s{seed}") for seed in range(3)])
    found = detect(long)
    assert found.to_pandas().unique_id.unique().tolist() == ["s0", "s1", "s2"]
    assert found.data["streams"][0]["calibration"] == 3 * 144
    found.write(tmp_path / "found.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "found.parquet"), found.to_pandas())


def test_the_references_stand_beside_and_chance_finds_little():
    found = detect(panel_of(seasonal(rows=2000)))
    roles = {each["detector"]: each for each in found.data["detectors"]}
    assert list(roles) == ["nlinear", "last", "seasonal", "moving z-score", "random"]
    assert roles["nlinear"]["planted"]["found"][0] > roles["random"]["planted"]["found"][0]
    assert found.data["attention"] is None


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A network that is trained once for all tests."""
    quick = {"samformer": {"epochs": 1}}
    return {"attention": "samformer", "options": quick, "lookback": 12, "store": tmp_path_factory.mktemp("store")}


def test_a_network_with_attention_is_put_beside_and_judged(network):
    found = detect(panel_of(seasonal()), **network)
    answer = found.data["attention"]
    assert answer["model"] == "samformer"
    assert answer["against"] == "nlinear"
    value, low, high = answer["difference"]
    assert low <= value <= high
    assert answer["outcome"] in ("no", "undecided")


def test_a_network_that_detects_is_judged_against_the_better_reference(network):
    found = detect(panel_of(seasonal()), model="samformer", **network)
    assert found.data["attention"]["against"] == "seasonal"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_planted_is_where_it_is_said_to_be(kind):
    panel = panel_of(seasonal(rows=2000, channels=2))
    changed, plants = plant(panel, np.array([1000]))
    differs = changed.values != panel.values  # noqa: PD011  panels, not frames
    where = np.zeros(differs.shape, dtype=bool)
    for each in plants:
        where[each.first : each.last + 1, each.channel] = True
        assert each.first > 1000
    assert not differs[~where].any()
    assert any(each.kind == kind for each in plants)
    assert all(differs[each.first, each.channel] for each in plants if each.kind == "spike")


def test_an_alarm_of_a_merged_segment_carries_the_time_of_the_first():
    values = seasonal()
    values[[600, 602, 640]] += 9
    table = rows_of(detect(panel_of(values), merge=1, model="seasonal"))
    at = dict(zip(table.ds, table.segment, strict=True))
    times = table.ds.to_numpy()
    assert at[times[602 - 504]] == times[600 - 504]
    assert not table.alarm[601 - 504]
    assert at[times[640 - 504]] == times[640 - 504]


def test_a_series_that_stays_raises_an_alarm_only_when_it_moves():
    import pandas as pd

    still = np.full((720, 1), 5.0)
    still[::10] += 1  # now and then, so that it has a unit at all
    long = pd.concat([frame(seasonal()).assign(unique_id="moves"), frame(np.full(720, 3.0)).assign(unique_id="still")])
    found = detect(long)
    assert found.to_pandas().unique_id.unique().tolist() == ["moves"]
    assert any("still" in note for note in found.data["notes"])
    with pytest.raises(DataError, match="constant"):
        detect(panel_of(np.full(720, 3.0)))


@pytest.mark.parametrize(("rows", "said"), [(1, "a single row"), (4, "too short"), (40, "too short|no forecast")])
def test_too_few_rows_are_refused(rows, said):
    with pytest.raises(DataError, match=said):
        detect(frame(seasonal(rows=rows)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": 0.9, "calibrate": 0.2}, "leave no rows to score"),
        ({"train": 0}, "--train is a share"),
        ({"calibrate": float("nan")}, "calibrate is a finite number"),
        ({"scores": "best"}, "known: robust"),
        ({"model": "combination"}, "history"),
        ({"model": "nothing"}, "no forecaster is called"),
        ({"attention": "nothing"}, "no forecaster is called"),
        ({"false_alarms": 0}, "per 1000 steps"),
        ({"before": np.ones(3)}, "--model-dir"),
        ({"labels": "nowhere"}, "no column 'nowhere'"),
        ({"candidates": [], "model": "auto"}, "nothing to choose from"),
    ],
)
def test_what_cannot_be_done_is_refused(given, said):
    with pytest.raises(UsageError, match=f"(?i){said}"):
        detect(panel_of(seasonal()), **given)


@pytest.mark.parametrize(
    ("labels", "said"),
    [(np.ones(5), "720 rows"), (np.full(720, 2), "labels are 0 and 1"), (["a"] * 720, "no numbers")],
)
def test_labels_that_are_none_are_refused(labels, said):
    with pytest.raises(DataError, match=said):
        detect(panel_of(seasonal()), labels=labels)


def test_labels_without_an_anomaly_give_no_metric(spiked):
    found = detect(panel_of(spiked[0]), labels=np.zeros(720))
    assert found.data["labelled"] is None
    assert any("no anomaly" in note for note in found.data["notes"])


def test_advice_names_options_that_there_are():
    with pytest.raises(DataError, match="--train") as refused:
        detect(panel_of(seasonal()), horizon=600)
    assert "--split" not in str(refused.value)


def test_unsorted_and_doubled_times_are_refused():
    table = frame(seasonal())
    with pytest.raises(DataError, match=r"sorted|twice"):
        detect(table.iloc[::-1])
    with pytest.raises(DataError, match="twice"):
        detect(table.iloc[[*range(700), 699]])


def test_what_was_found_is_shown_in_a_line_and_a_table(spiked):
    found = detect(panel_of(spiked[0]))
    assert len(repr(found)) < 300
    assert "<table>" in found._repr_html_()
    assert max(map(len, found.to_text(80).splitlines())) <= 80
    assert fc.Detection.__name__ in repr(found)
