"""A forecast as a page and as a figure: which series are shown, what is said, and that nothing gets out of it."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

import forecheck as fc
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.errors import UsageError
from forecheck.reports.forecast_page import MOST_BYTES, ranked
from panels import gappy, hourly, ragged

MONTHS = Frequency("month")
SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def many(count, rows=30, names=None, seed=0):
    """Monthly series with a year's wave, of rising noise."""
    rng = np.random.default_rng(seed)
    noise = np.linspace(0.1, 3, count)[:, None] * rng.standard_normal((count, rows))
    values = 20 + 5 * np.sin(2 * np.pi * np.arange(rows) / 12) + noise
    time = np.tile((np.datetime64("2020-01") + np.arange(rows)).astype("datetime64[us]"), count)
    names = names or tuple(f"shop_{k}" for k in range(count))
    return Panel(values.reshape(-1, 1), np.arange(0, count * rows + 1, rows), time, names, ("sold",), MONTHS, "shops")


def made(panel, horizon=3, level=(80,), model="combination", **more):
    return fc.forecast(panel, horizon=horizon, level=level, model=model, workers=0, **more)


def numbers_of(page):
    return json.loads(re.search(r'<script type="application/json" id="numbers">(.*?)</script>', page, re.DOTALL)[1])


def read(text, row):
    """Numbers as the page's script reads them."""
    places = [SIGNS.index(a) * 64 + SIGNS.index(b) for a, b in zip(text[::2], text[1::2], strict=True)]
    return [np.nan if not at else row[4] + (at - 1) / 4094 * (row[5] - row[4]) for at in places]


def drawn_of(page):
    return re.findall(r'<figure class="series"[^>]*><figcaption><b>(.*?)</b>', page)


@pytest.fixture(scope="module")
def shops():
    return made(many(30))


def test_the_page_holds_history_forecast_and_intervals_as_they_are(shops):
    page = numbers_of(shops.to_html())
    assert page["count"] == len(page["series"]) == 30
    assert page["levels"] == ["80"]
    frame = shops.to_pandas().set_index("unique_id")
    for row in page["series"][:3]:
        name, place, (low, high) = row[0], row[3], row[8]
        exact = (row[5] - row[4]) / 4094
        history, own = read(row[6], row), frame.loc[name]
        series = shops.behind.panel.series.index(name)
        np.testing.assert_allclose(history, shops.behind.panel.values[30 * series : 30 * series + 30, 0], atol=exact)
        np.testing.assert_allclose(read(row[7], row), own["combination"], atol=exact)
        np.testing.assert_allclose(read(low, row), own["combination-lo-80"], atol=exact)
        np.testing.assert_allclose(read(high, row), own["combination-hi-80"], atol=exact)
        assert page["time"][place] == "2020-01"
        assert page["time"][place + 30 + 2] == "2022-09"


def test_the_worst_series_are_drawn_first_and_then_typical_ones(shops):
    losses, names = shops.behind.losses, np.array(shops.names)
    drawn = drawn_of(shops.to_html())
    assert drawn[:6] == list(names[np.argsort(-losses)[:6]])
    nearest = names[np.argsort(np.abs(losses - np.median(losses)), kind="stable")[:6]]
    assert set(drawn[6:]) == set(nearest)


def test_the_error_that_ranks_is_that_at_rolling_origins(shops):
    crossed = shops.cross_validation().to_pandas()
    assert shops.behind.measure.startswith("MASE at 3 ")
    assert set(crossed["unique_id"]) == set(shops.names)
    assert np.mean(shops.behind.losses) == pytest.approx(shops.info["rolling_mase"]["combination"], rel=1e-5)


def test_a_series_that_is_asked_for_comes_first(shops):
    assert drawn_of(shops.to_html(show=["shop_3", "shop_1"]))[:2] == ["shop_3", "shop_1"]
    assert drawn_of(shops.to_html(show="shop_3"))[0] == "shop_3"
    with pytest.raises(UsageError, match=r'no series "shop_99".*\n.*"shop_0".* and 22 more'):
        shops.to_html(show=["shop_99"])


def test_thousands_of_series_fit_and_what_is_left_out_is_said():
    panel = many(30)
    forecast = made(panel, horizon=12, level=(50, 80, 95))
    copies = 100  # as if it were 3,000 series
    columns = {key: np.tile(np.asarray(each), copies) for key, each in forecast.columns.items()}
    columns["unique_id"] = np.repeat([f"{'name ' * 5}{k}" for k in range(30 * copies)], 12).tolist()
    values, time = np.tile(panel.values, (copies, 1)), np.tile(panel.time, copies)
    names = tuple(f"{'name ' * 5}{k}" for k in range(30 * copies))
    large = Panel(values, np.arange(0, len(values) + 1, 30), time, names, ("sold",), MONTHS, "shops")
    losses = np.tile(forecast.behind.losses, copies) + np.linspace(0, 1, 30 * copies)
    behind = replace(forecast.behind, panel=large, losses=losses, made=None)
    page = replace(forecast, columns=columns, behind=behind).to_html(show=[names[17]])
    assert len(page.encode()) <= MOST_BYTES
    shown = [row[0] for row in numbers_of(page)["series"]]
    assert shown[0] == names[17]
    assert {names[k] for k in np.argsort(-losses)[:20]} <= set(shown)
    said = re.search(r'id="shown">(.*?)<', page)[1]
    assert said.startswith(f"{len(shown):,} of 3,000 series are on this page: ")


@pytest.mark.parametrize("count", [1, 2, 5, 7, 13])
def test_every_series_of_few_is_on_the_page_once(count):
    page = made(many(count)).to_html()
    drawn = drawn_of(page)
    assert len(drawn) == len(set(drawn)) == min(count, 12)
    assert len(numbers_of(page)["series"]) == count
    assert "of this page" not in page


def test_names_and_notes_get_no_markup_through():
    names = ("</script><script>alert(1)</script>", "<b>bold</b>", '" onload="x', "a&b")
    page = made(many(4, names=names)).to_html()
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert sorted(row[0] for row in numbers_of(page)["series"]) == sorted(names)
    assert len(re.findall(r"<script", page)) == 2


@pytest.mark.parametrize(
    ("panel", "horizon", "level"),
    [
        (hourly(300), 1, (80,)),
        (hourly(300), 24, ()),
        (gappy(hourly(300), 0.1), 24, (80, 95)),
        (ragged((90, 60, 120)), 5, (80,)),
        (replace(many(3), values=np.full((90, 1), 7.0)), 3, (80,)),
        (replace(many(3), values=many(3).values * 1e-200), 3, (80,)),
        (replace(many(3), values=many(3).values * 1e200), 3, (80,)),
        (many(2, rows=5), 3, ()),
    ],
    ids=["one step", "no level", "gaps", "ragged", "constant", "tiny", "huge", "five rows"],
)
def test_every_kind_of_data_has_a_page(panel, horizon, level):
    page = made(panel, horizon, level).to_html()
    assert "nan" not in page.split("<main>")[1].split("<script")[0]
    assert drawn_of(page)
    for row in numbers_of(page)["series"]:
        assert len(row[7]) == 2 * horizon


def test_series_on_other_days_have_stamps_of_their_own():
    panel = many(2)
    moved = panel.time.copy()
    moved[30:] += np.timedelta64(14, "D")
    rows = numbers_of(made(replace(panel, time=moved)).to_html())["series"]
    own = {row[0]: row[3] for row in rows}
    assert sum(isinstance(place, list) for place in own.values()) >= 1
    times = {name: place[0] for name, place in own.items() if isinstance(place, list)}
    assert all(len(each) == 33 for each in times.values())


def test_when_the_forecast_is_for_is_said_where_all_series_end_together():
    assert "2022-07 to 2022-09" in made(many(2)).to_html()
    assert "after the end of each series" in made(ragged((90, 60, 120)), 5).to_html()


def test_a_forecaster_of_windows_is_ranked_by_its_test_part():
    forecast = made(hourly(400, channels=3), 6, (80,), "nlinear", lookback=24)
    assert "test part" in forecast.behind.measure
    assert forecast.behind.losses.shape == (3,)
    assert forecast.info["test_mae_real"] > 0
    page = forecast.to_html()
    assert "You named it." in page
    with pytest.raises(UsageError, match="no combination"):
        forecast.cross_validation()


def test_a_saved_fit_is_ranked_by_the_width_of_its_intervals(tmp_path):
    fc.fit(hourly(400, channels=8), horizon=6, model="nlinear", lookback=24, output=tmp_path / "fit", workers=0)
    forecast = fc.forecast(hourly(400, channels=8), model_dir=tmp_path / "fit", level=80)
    page = forecast.to_html()
    assert "Width of the 80 % intervals" in page
    assert drawn_of(fc.forecast(hourly(400, channels=8), model_dir=tmp_path / "fit").to_html())[:2] == ["c0", "c1"]


def test_auto_says_why_and_shows_the_candidates():
    forecast = fc.forecast(hourly(300, 1), horizon=6, candidates=["last", "combination"], workers=0)
    page = forecast.to_html()
    assert "Chosen since" in page
    assert re.search(r'id="candidates".*last', page, re.DOTALL)


def test_a_forecast_from_elsewhere_is_refused():
    hand = fc.Forecast("mine", {"unique_id": ["a"], "ds": [1], "mine": [2.0]}, {})
    for show in (hand.to_html, hand.plot, hand.cross_validation):
        with pytest.raises(UsageError, match="without its data"):
            show()


def test_a_page_is_written(tmp_path, shops):
    page = shops.to_html(tmp_path / "f.html")
    assert (tmp_path / "f.html").read_text() == page


def test_the_room_is_shared_by_the_worst_the_typical_and_all_ranks():
    losses = np.random.default_rng(0).permutation(1000).astype(float)
    found = ranked(losses, 1000, 90)
    assert len(found) <= 90
    values = losses[found]
    assert (np.diff(values) < 0).all()
    assert (values[:30] == np.arange(999, 969, -1)).all()
    assert ((values > 480) & (values < 520)).sum() >= 28
    assert values[-1] == 0
    assert list(ranked(None, 5, 3)) == [0, 1, 2]
    assert list(ranked(np.array([1.0, np.nan, 2.0]), 3, 9)) == [2, 0, 1]


def test_without_matplotlib_a_plot_says_what_to_install(shops, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"pip install 'forecheck\[plot\]'"):
        shops.plot()


def test_a_plot_has_a_panel_a_series(shops):
    pytest.importorskip("matplotlib")
    figure = shops.plot()
    assert len(figure.axes) == 6
    one = shops.plot("shop_4", history=10).axes[0]
    assert one.get_title("left") == "shop_4"
    lines = {line.get_label(): line for line in one.lines}
    assert len(lines["observed"].get_xdata()) == 10
    np.testing.assert_allclose(lines["forecast"].get_ydata()[1:], shops.columns["combination"][12:15])
    with pytest.raises(UsageError, match="positive"):
        shops.plot(history=0)
    with pytest.raises(UsageError, match="no series"):
        shops.plot("shop")


def test_numbers_of_series_are_names_too():
    table = pa.table(
        {"unique_id": [7] * 20 + [8] * 20, "ds": list(range(20)) * 2, "y": [float(k % 5) for k in range(40)]}
    )
    forecast = made(fc.load(table), 2, ())
    assert drawn_of(forecast.to_html(show=[8]))[0] == "8"
