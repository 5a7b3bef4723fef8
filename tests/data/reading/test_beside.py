"""Columns beside the channels: read with the data or from a table of the future, and refused where they do not fit."""

import numpy as np
import pandas as pd
import pytest

import forecheck as fc
from forecheck.data.load import _names, load
from forecheck.errors import DataError, UsageError

ROWS, AHEAD = 60, 5


def sales(series=("a", "b")):
    """A long daily frame whose last five days of every series have no target yet."""
    rng = np.random.default_rng(0)
    parts = []
    for name in series:
        days = pd.date_range("2024-01-01", periods=ROWS + AHEAD)
        price, promo = rng.uniform(1, 2, len(days)), rng.choice(["none", "half"], len(days))
        sold = 20 - 3 * price + 4 * (promo == "half") + rng.normal(size=len(days))
        sold[ROWS:] = np.nan
        parts.append(
            pd.DataFrame(
                {"unique_id": name, "ds": days, "y": sold, "price": price, "promo": promo, "region": f"r-{name}"}
            )
        )
    return pd.concat(parts, ignore_index=True)


def parted():
    """History and future, each by itself."""
    frame = sales()
    return frame[frame["y"].notna()], frame[frame["y"].isna()].drop(columns="y")


NAMES = {"known": ["price", "promo"], "static": "region", "calendar": "dayofweek"}


def test_rows_with_empty_targets_are_the_future():
    panel = load(sales(), **NAMES)
    assert panel.channels == ("y",)
    assert panel.lengths.tolist() == [ROWS, ROWS]
    beside = panel.covariates
    assert beside.known == ("price", "promo")
    assert beside.future.shape == (2, AHEAD, 2)
    whole = sales()
    values = beside.values  # noqa: PD011  no frame
    assert (values[:, 0] == whole[whole["y"].notna()]["price"]).all()
    assert (beside.future[1, :, 0] == whole["price"].to_numpy()[-AHEAD:]).all()
    assert set(beside.levels["promo"]) == {"none", "half"}
    assert beside.static["region"] == ("r-a", "r-b")
    assert "10 rows without targets taken for the steps after the end" in panel.described


@pytest.mark.parametrize("seed", [0, 1])
def test_a_table_of_the_future_says_the_same_in_any_order(seed):
    history, future = parted()
    panel = load(history, **NAMES, future=future.sample(frac=1, random_state=seed))
    assert panel.fingerprint == load(sales(), **NAMES).fingerprint


def test_files_say_the_same(tmp_path):
    history, future = parted()
    history.to_csv(tmp_path / "sales.csv", index=False)
    future.to_csv(tmp_path / "future.csv", index=False)
    panel = load(tmp_path / "sales.csv", **NAMES, future=tmp_path / "future.csv")
    assert panel.fingerprint == load(sales(), **NAMES).fingerprint


def test_a_wide_table_without_series_and_one_without_times():
    frame = sales(["a"]).drop(columns=["unique_id", "region"])
    assert load(frame, known="price", drop=["promo"]).covariates.future.shape == (1, AHEAD, 1)
    steps = frame.drop(columns="ds")
    history, future = steps[steps["y"].notna()], steps[steps["y"].isna()]
    panel = load(history, known="price", drop=["promo"], future=future)
    assert (panel.covariates.future[0, :, 0] == future["price"]).all()


def test_rows_of_the_past_that_agree_are_no_trouble_and_strange_series_are_set_aside():
    history, future = parted()
    more = pd.concat([history.drop(columns="y").iloc[50:60], future, future.assign(unique_id="c")])
    panel = load(history, **NAMES, future=more)
    assert panel.fingerprint == load(sales(), **NAMES).fingerprint
    assert 'set aside: "c" of future, which the data do not have' in panel.described


def changed(frame, row, column, value):
    frame = frame.copy().reset_index(drop=True)
    frame.loc[row, column] = value
    return frame


FUTURES = {
    "missing row": (lambda f: f.drop(f.index[2]), 'lacks 1 step after the end of the data of series "a", the first is'),
    "first row missing": (lambda f: f.drop(f.index[0]), "the first is 2024-03-01"),
    "doubled": (
        lambda f: pd.concat([f, f.iloc[[1]]]),
        'the same time twice of series "a": 2024-03-02 at row 1 and row 10',
    ),
    "other series": (lambda f: f.assign(unique_id="c"), "has no row of a series of the data: it has"),
    "off the grid": (
        lambda f: f.assign(ds=f["ds"] + pd.Timedelta("1h")),
        "has a time that is no step of the data",
    ),
    "numbers for dates": (lambda f: f.assign(ds=range(len(f))), 'numbers in column "ds", other than the data'),
    "empty cell": (lambda f: changed(f, 3, "price", np.nan), 'first in column "price" of series "a" at 2024-03-04'),
    "infinite": (lambda f: changed(f, 3, "price", np.inf), "1 missing or infinite value"),
    "no such column": (lambda f: f.drop(columns="price"), 'has no column "price"'),
    "no series column": (lambda f: f.drop(columns="unique_id"), 'has no column "unique_id"'),
    "no time column": (lambda f: f.drop(columns="ds"), 'has no column "ds"'),
    "no rows": (lambda f: f.iloc[:0], "holds no rows"),
    "text for numbers": (lambda f: f.assign(price="cheap"), 'holds "cheap", which is not a number'),
    "numbers for text": (lambda f: f.assign(promo=1.0), "holds numbers in column"),
}


@pytest.mark.parametrize("kind", FUTURES)
def test_a_future_that_does_not_fit_is_refused(kind):
    change, words = FUTURES[kind]
    history, future = parted()
    with pytest.raises(DataError) as caught:
        load(history, **NAMES, future=change(future))
    assert words in str(caught.value)


def test_an_overlap_that_says_otherwise_is_refused():
    history, future = parted()
    past = history.drop(columns="y").iloc[55:60].assign(price=9.0)
    with pytest.raises(DataError, match='overlaps with the data and says otherwise in column "price"'):
        load(history, **NAMES, future=pd.concat([past, future]))


def test_the_future_twice_is_refused():
    with pytest.raises(DataError, match="Give the future once"):
        load(sales(), **NAMES, future=parted()[1])


DATA = {
    "missing": (lambda f: changed(f, 7, "price", np.nan), '1 missing value in column "price", which is to explain'),
    "missing in the future": (lambda f: changed(f, 62, "price", np.nan), "row 62 (2024-03-03)"),
    "missing text": (lambda f: changed(f, 7, "promo", None), '1 missing value in column "promo"'),
    "infinite": (lambda f: changed(f, 7, "price", np.inf), '1 infinite value in column "price"'),
    "many texts": (lambda f: f.assign(promo=[f"p{i}" for i in range(len(f))]), "130 different texts"),
    "a fact that changes": (lambda f: changed(f, 7, "region", "r-z"), 'is no fact of the series "a"'),
    "a fact that is missing": (lambda f: f.assign(region=None), 'has no value in column "region" for the series "a"'),
    "a gap before the future": (lambda f: f.drop(index=60), "lacks 1 step of its regular grid"),
}


@pytest.mark.parametrize("kind", DATA)
def test_columns_that_cannot_explain_are_refused_by_name(kind):
    change, words = DATA[kind]
    with pytest.raises(DataError) as caught:
        load(change(sales()), **NAMES)
    assert words in str(caught.value)


def test_missing_cells_are_filled_if_that_was_asked_for():
    frame = changed(changed(sales(), 7, "price", np.nan), 8, "promo", None)
    values = load(frame, **NAMES, fill="linear").covariates.values  # noqa: PD011  no frame
    assert values[7, 0] == pytest.approx((frame["price"][6] + frame["price"][8]) / 2)
    assert values[8, 1] == values[7, 1]


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ({"known": "cost"}, DataError, 'has no column "cost"'),
        ({"static": "cost"}, DataError, 'has no column "cost"'),
        ({"known": ["price", "price"]}, DataError, "is named twice"),
        ({"known": "price", "static": "price"}, DataError, "is named twice"),
        ({"known": "price", "drop": ["price"]}, DataError, "is named twice"),
        ({"known": "y", "target": ["y"]}, DataError, "is named twice"),
        ({"known": "ds"}, DataError, 'column "ds" is the time'),
        ({"past": "unique_id", "target": "y"}, DataError, 'column "unique_id" is the series'),
        ({"static": ["unique_id"]}, DataError, 'column "unique_id" is the series'),
        ({"known": ["price", "y"]}, DataError, 'column "y" is the target'),
        ({"known": "price", "past": "price"}, DataError, "is named twice"),
        ({"known": "price", "series": "price"}, DataError, "is named twice"),
        ({"known": ""}, DataError, 'has no column ""'),
        ({"past": ["price", ""]}, DataError, 'has no column ""'),
        ({"known": " price "}, DataError, 'Did you mean "price"?'),
        ({"target": ""}, DataError, 'has no column ""'),
        ({"known": "price", "calendar": "dayofwek"}, UsageError, "Did you mean dayofweek"),
        ({"static": "region", "future": parted()[1]}, UsageError, "no column is said to be known"),
        ({"known": "price", "future": "nowhere.csv"}, DataError, "there is no file nowhere.csv"),
    ],
)
def test_names_that_cannot_be_are_refused(names, error, words):
    with pytest.raises(error) as caught:
        load(sales(), **names)
    assert words in str(caught.value)


def test_dates_are_the_time_whatever_they_are_called():
    frame = sales(["a"]).drop(columns="unique_id").rename(columns={"ds": "when"})
    with pytest.raises(DataError, match='column "when" is the time'):
        load(frame.iloc[:15].assign(when=frame["when"].astype(str)), known="when")
    twice = frame.assign(day=frame["when"]).drop(columns="region")
    assert load(twice, time="day", drop=["when"], known="promo", target="y").channels == ("y",)


def test_accents_are_told_apart_no_more_than_elsewhere():
    frame = sales().rename(columns={"price": "caf\u00e9"})
    assert load(frame, known="cafe\u0301", target="y").covariates.known == ("caf\u00e9",)


def test_columns_that_are_numbers_are_named_as_they_are_read():
    assert _names([1, "price"]) == ("1", "price")
    with pytest.raises(UsageError, match="columns are named, got 1"):
        _names(1)


def test_a_panel_is_read_already():
    panel = load(sales(), **NAMES)
    for given in ({"known": "price"}, {"known": ""}, {"past": ""}, {"static": [""]}):
        with pytest.raises(UsageError, match="a panel is ready"):
            fc.forecast(panel, horizon=2, **given)
    assert fc.load(panel, known=[], past=()) is panel
    for given in ({"time": ""}, {"target": ""}, {"fill": ""}):
        with pytest.raises(UsageError, match="a panel is ready"):
            load(panel, **given)


def test_covariates_are_part_of_what_a_panel_is():
    frame = sales()
    plain = load(frame[frame["y"].notna()], target=["y"])
    prints = {
        plain.fingerprint,
        load(frame, **NAMES).fingerprint,
        load(frame, known="price").fingerprint,
        load(changed(frame, 62, "price", 1.0), known="price").fingerprint,
    }
    assert len(prints) == 4
    one = load(frame, **NAMES).only(np.array([False, True]))
    assert one.covariates.static == {"region": ("r-b",)}
    assert one.covariates.future.shape == (1, AHEAD, 2)
    assert one.covariates.future.shape[0] == len(one.series)


def priced(write, times=60):
    """A history of one series whose price is written in some way, and its future."""
    days = pd.date_range("2024-01-01", periods=times + 3)
    price = [write(1000 + 7 * row % 50) for row in range(times + 3)]
    history = pd.DataFrame({"ds": days[:times], "y": np.arange(times) % 9, "price": price[:times]})
    return history, pd.DataFrame({"ds": days[times:], "price": price[times:]})


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (lambda price: f"{price / 1000:.3f}", {"thousands": "."}),
        (lambda price: f"{price:.2f}".replace(".", ","), {}),
        (lambda price: f"{price}%", {}),
        (lambda price: f"${price:,.2f}", {}),
        (str, {}),
    ],
)
def test_known_numbers_are_read_as_channels_are(write, options):
    """1.010 was 1.01 whatever was said of thousands; 5 % was a category."""
    history, future = priced(write)
    beside = load(history, known="price", future=future, **options).covariates
    assert beside.levels == {}
    assert beside.future[0, :, 0].tolist() == [1000 + 7 * row % 50 for row in (60, 61, 62)]
    past = load(history, past="price", **options).covariates
    assert past.lagged[1, 0] == 1007


def test_known_numbers_in_doubt_or_written_otherwise_are_refused():
    history, future = priced(lambda price: f"{price / 1000:.3f}")
    with pytest.raises(DataError, match=r'"1.000" in column "price", which may be 1000 or 1.000'):
        load(history, known="price", future=future)
    plain, ahead = priced(float)
    with pytest.raises(DataError, match=r'future holds "1.020" in column "price", which may be'):
        load(plain, known="price", future=future)
    for told, later in ((plain, priced(lambda price: f"{price}%")[1]), (priced(lambda price: f"{price}%")[0], ahead)):
        with pytest.raises(DataError, match="one has a unit beside its numbers"):
            load(told, known="price", future=later)
    with pytest.raises(DataError, match=r"future holds 1e\+30 in column \"price\" at 2024-03-02, so far from"):
        load(plain, known="price", future=ahead.assign(price=[1000, 1e30, 1e30]))
