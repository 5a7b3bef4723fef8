"""Curves over numbers: where their points lie, what is left out, and axes whose labels do not collide."""

import math
import re
import xml.etree.ElementTree as ET
from itertools import accumulate, pairwise

import pytest
import reproduction_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from forecheck.papers.plots import bars, curve, curves, heat
from forecheck.papers.reports.reproduction import Reproduction
from forecheck.reports import charts
from forecheck.reports.axes import CHARACTER, GREATEST, LINE, spanned, usable
from forecheck.reports.curves import MOST_ROWS, MOST_SERIES
from forecheck.reports.numbers import NOTHING

numbers = st.floats(allow_nan=True, allow_infinity=True) | st.none()


def drawn(*given, claim="E1"):
    return charts.of_claim({"id": claim, "title": "t", "charts": list(given)})


def one(*series, **options):
    [chart] = drawn(curves("c", "x", "y", list(series), **options))
    return chart


def elements(drawing, kind):
    return [each for each in ET.fromstring(drawing).iter("path") if each.get("class", "").split()[0] == kind]


def dots(drawing):
    return [
        [(float(x), float(y)) for x, y in re.findall(r"M([\d.-]+) ([\d.-]+)l0 0", each.get("d"))]
        for each in elements(drawing, "dots")
    ]


def labels(drawing):
    """Labels of the axis of x with their places, and of the axis of y."""
    texts = list(ET.fromstring(drawing).iter("text"))[:-1]
    split = [("end" in each.get("class"), float(each.get("x")), float(each.get("y")), each.text) for each in texts]
    return [(x, text) for end, x, _, text in split if not end], [(y, text) for end, _, y, text in split if end]


def test_a_straight_line_is_straight_on_linear_axes_and_a_power_law_on_logarithmic_ones():
    x = [1, 2, 5, 30, 100]
    linear = one(curve("a", x, [3 * k + 1 for k in x]))
    power = one(curve("a", x, [4 * k**-1.5 for k in x]), log="xy")
    for chart in (linear, power):
        for drawing in (chart.wide, chart.narrow):
            [points] = dots(drawing)
            slopes = [(d - b) / (c - a) for (a, b), (c, d) in pairwise(points)]
            assert slopes == pytest.approx([slopes[0]] * 4, rel=0.05)
            assert (slopes[0] < 0) == (chart is linear)  # y grows to the top, where it is small in a drawing


def test_labels_stand_at_their_values():
    chart = one(curve("a", [0.01, 3, 1000], [1.0, 50.0, 20_000.0]), log="xy")
    below, beside = labels(chart.wide)
    assert [text for _, text in below] == ["0.01", "0.1", "1", "10", "100", "1,000"]
    assert [text for _, text in beside] == ["1", "10", "100", "1,000", "10,000"]
    steps = [b - a for (a, _), (b, _) in pairwise(below[:-1])]
    assert steps == pytest.approx([steps[0]] * 4, abs=0.05)
    [points] = dots(chart.wide)
    assert points[0][0] == pytest.approx(below[0][0], abs=0.1)
    assert points[0][1] == pytest.approx(beside[0][0] - 4, abs=0.1)


def test_decades_far_apart_are_powers_of_ten():
    below, beside = labels(one(curve("a", [1, 1e9], [1e-12, 1e4]), log="xy").narrow)
    assert below[0][1] == "10⁰"
    assert {"10⁻¹²", "10⁰"} <= {text for _, text in beside}


@pytest.mark.parametrize(
    ("values", "log", "expected"),
    [
        ([0.2, 0.9], True, ["0.2", "0.4", "0.6", "0.8"]),
        ([0.2, 3.0], True, ["0.2", "0.5", "1", "2"]),
        ([5.2, 14.4], True, ["6", "8", "10", "12", "14"]),
        ([0.50001, 0.50004], False, ["0.50001", "0.50002", "0.50003", "0.50004"]),
        ([0.0, 3e-7], False, ["0", "1·10⁻⁷", "2·10⁻⁷", "3·10⁻⁷"]),
        ([-2e9, 2e9], False, ["-2·10⁹", "-1·10⁹", "0", "1·10⁹", "2·10⁹"]),
        ([0.0, 1.0], False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
)
def test_labels_have_just_the_digits_that_tell_them_apart(values, log, expected):
    found = [label for _, label in spanned(values, 0, 240, log=log).ticks()]
    assert len(found) == len(set(found))
    assert [label for label in found if label in expected] == expected


@given(st.lists(st.floats(1e-300, 1e300), min_size=1, max_size=5), st.booleans(), st.booleans(), st.integers(60, 900))
def test_labels_never_collide(values, log, upright, length):
    axis = spanned([value for value in values if usable(value, log=log)] or [1.0], 0, length, log=log)
    ticks = axis.ticks(upright=upright)
    places = [(axis.at(value), LINE if upright else CHARACTER * len(label)) for value, label in ticks]
    assert all(b - a >= (one + two) / 2 for (a, one), (b, two) in pairwise(places))
    assert all(-1 <= place <= length + 1 for place, _ in places)
    assert len({label for _, label in ticks}) == len(ticks)


def test_counts_have_whole_ticks():
    below, _ = labels(one(curve("a", [1, 2, 3], [1.0, 2.0, 3.0])).wide)
    assert [text for _, text in below] == ["1", "2", "3"]


def test_what_has_no_place_is_left_out_and_counted():
    series = {"label": "a", "x": [0, 1, None, 3, 4, 5], "y": [1.0, 2.0, 3.0, -1.0, None, 5.0]}
    chart = one(series, log="xy")
    assert [len(points) for points in dots(chart.wide)] == [2]
    assert chart.note == "3 values have no place on the axes."  # x is 0, x is missing, y is -1; and one is missing
    assert [row[0] for row in chart.table.rows] == ["1", "5"]
    assert [len(points) for points in dots(one(series).wide)] == [4]
    assert one(series).note == "1 value has no place on the axes."


def test_a_gap_interrupts_the_line_and_its_band():
    y = [1.0, 2.0, None, 2.0, 1.0]
    chart = one(curve("a", range(5), y, [0.5, 1.5, 1.0, 1.5, 0.5], [1.5, 2.5, 3.0, 2.5, 1.5]))
    [line] = elements(chart.wide, "line")
    [band] = elements(chart.wide, "ribbon")
    assert line.get("d").count("M") == band.get("d").count("M") == 2


def test_a_band_lies_around_its_curve():
    chart = one(curve("a", [1, 2, 4], [10.0, 20.0, 15.0], [5.0, 18.0, 0.0], [20.0, 22.0, 16.0]), log="y")
    [band] = elements(chart.wide, "ribbon")
    steps = [list(map(float, pair.split())) for pair in band.get("d").strip("MZ").replace("l0 0", "").split("l")]
    outline = [(x, y) for x, y in zip(*(accumulate(each) for each in zip(*steps, strict=True)), strict=True)]
    [points] = dots(chart.wide)
    above, below = outline[:3], outline[:2:-1]
    for (x, y), (left, top), (right, bottom) in zip(points, above, below, strict=True):
        assert x == pytest.approx(left) == pytest.approx(right)
        assert top < y < bottom
    assert max(y for _, y in outline) == pytest.approx(290 - 38)  # the low end of zero is the floor of a log axis
    assert chart.table.rows[0] == ["1", "10 [5, 20]"]


def test_a_wide_band_does_not_press_the_curves_together():
    chart = one(curve("a", [0, 1], [1.0, 2.0], [-1e6, 1.9], [1e6, 2.1]))
    [points] = dots(chart.wide)
    assert points[0][1] - points[1][1] > 60


def test_levels_are_drawn_where_they_lie_and_named():
    chart = one(curve("a", [1, 2], [1.0, 3.0]), levels=[("floor", 2.0), ("nowhere", math.nan)])
    [level] = elements(chart.wide, "level")
    [points] = dots(chart.wide)
    top = float(re.match(r"M[\d.]+ ([\d.]+)H", level.get("d")).group(1))
    assert top == pytest.approx((points[0][1] + points[1][1]) / 2, abs=0.1)
    assert [name for name, _ in chart.legend] == ["a", "floor: 2"]
    assert "floor at 2" in ET.fromstring(chart.wide).find("desc").text


def test_styles_differ():
    x = list(range(30))
    chart = one(*(curve(style, x, [float(k) for k in x], style=style) for style in ("line", "dashed", "points")))
    lines = [each.get("class") for each in elements(chart.wide, "line")]
    assert lines == ["line c1", "line c2 dashed"]
    assert [len(points) for points in dots(chart.wide)] == [30]
    classes = [re.search('class="(line[^"]*)"', swatch).group(1).split()[1:] for _, swatch in chart.legend]
    assert classes == [["c1"], ["c2", "dashed"], ["c3", "spots"]]


@given(st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=6), st.booleans(), st.booleans(), numbers)
def test_no_numbers_break_it(rows, x_log, y_log, level):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
    scales = ["log" if log else "linear" for log in (x_log, y_log)]
    series = [{"label": "a"} | dict(zip(("x", "y", "low", "high"), columns, strict=True))]
    given = {"kind": "curves", "series": series, "x_scale": scales[0], "y_scale": scales[1]}
    for chart in drawn(given | {"levels": [{"label": "l", "value": level}]}):
        for drawing in (chart.wide, chart.narrow):
            root = ET.fromstring(drawing)
            assert not re.search("nan|inf", "".join(each.get("d", "") for each in root.iter("path")))
            width, height = map(float, root.get("viewBox").split()[2:])
            for points in dots(drawing):
                assert all(-0.1 <= x <= width and -0.1 <= y <= height for x, y in points)


@pytest.mark.parametrize("value", [0.0, -3.0, 5e-324, GREATEST, 10**400])
def test_a_single_point_is_seen(value):
    found = drawn(curves("c", "x", "y", [curve("a", [value], [value], style="dashed")]))
    assert [len(dots(chart.wide)[0]) for chart in found] == ([1] if usable(value) else [])


@pytest.mark.parametrize("given", [{}, {"series": []}, {"series": [{"label": "a"}]}, {"series": [None]}])
def test_nothing_to_draw_is_no_chart(given):
    assert drawn({"kind": "curves"} | given) == []


def test_the_table_keeps_short_curves_whole_and_thins_long_ones():
    x = [k / 7 for k in range(500)]
    short = [1.5, 33.3]
    chart = one(curve("long", x, x), curve("short", short, short))
    assert len(chart.table.rows) == MOST_ROWS
    assert [row[2] for row in chart.table.rows if row[2] != NOTHING] == ["1.5", "33.3"]
    assert chart.table.rows[0][:2] == ["0", "0"]
    assert chart.table.rows[-1][0] == "71.3"
    assert chart.table.note == f"{502 - MOST_ROWS} more points are in the JSON report."


def test_more_curves_than_colours_are_told_apart():
    chart = one(*(curve(str(k), [1, 2], [k, k]) for k in range(20)))
    classes = [each.get("class") for each in elements(chart.wide, "line")]
    assert len(classes) == len(set(classes)) == MOST_SERIES


def test_bars_and_heat_maps_of_papers_are_drawn():
    two = [("a", [1.0, None]), ("b", [0.5, -2.0])]
    bar, shade = drawn(bars("B", "error", ["x", "y"], two), heat("H", ["r"], ["c", "d"], [[1e-9, -3e-9]], "col", "row"))
    rectangles = list(ET.fromstring(bar.wide).iter("rect"))
    assert [each.get("class") for each in rectangles] == ["bar c1", "bar c2", "bar c2"]
    assert (bar.title, bar.caption, [name for name, _ in bar.legend]) == ("B", "error", ["a", "b"])
    assert shade.table.rows == [["r", "1.0e-09", "-3.0e-09"]]
    assert "<title>E1: H</title>" in shade.wide


def test_names_of_a_heat_map_have_room():
    names = ["static mean of all", "identity", "zero"]
    [chart] = drawn(heat("H", ["a row with quite a long name"], names, [[1.0, 2.0, 3.0]], "what attention becomes"))
    root = ET.fromstring(chart.wide)
    texts = {each.text: float(each.get("x")) for each in root.iter("text")}
    assert "static mean…" in texts
    assert texts["identity"] - texts["static mean…"] >= 7 * 12
    assert float(root.get("width")) >= texts["what attention becomes"] + 7 * len("what attention becomes")
    assert [column.name for column in chart.table.columns][1:] == names


def test_values_of_neighbouring_bars_do_not_collide():
    [chart] = drawn(samples.shares())
    heights = [float(each.get("y")) for each in ET.fromstring(chart.wide).iter("text") if "start" in each.get("class")]
    assert min(abs(a - b) for a in heights for b in heights if a != b) >= 12


def test_every_chart_of_a_page_is_described():
    page = Reproduction(samples.one()).to_html()
    drawings = re.findall(r'<svg [^>]*class="(?:lines|lines bars|heat)".*?</svg>', page, re.DOTALL)
    assert len(drawings) == 4 * 2 + 1
    for drawing in drawings:
        root = ET.fromstring(drawing)
        assert root.find("title").text
        assert root.find("desc").text
        assert root.get("role") == "img"
