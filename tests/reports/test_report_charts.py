"""Charts and tables in the details of findings."""

import math
import re
import xml.etree.ElementTree as ET

import pytest
import report_samples

from forecheck.reports import arcs, charts, tables
from forecheck.reports.numbers import NOTHING
from forecheck.reports.report import Report

BARS = {"kind": "bars", "x": ["a", "b"], "series": [{"label": "s", "y": [2.0, -1.0]}], "x_label": "x", "y_label": "y"}
LINES = {
    "kind": "lines",
    "x": [1, 2, 4],
    "series": [{"label": "s", "y": [1.0, 3.0, 2.0]}, {"label": "t", "y": [None] * 3}],
}
HEAT = {"kind": "heat", "rows": ["r", "q"], "columns": ["0", "1"], "values": [[1.0, -2.0], [None, 0.5]], "unit": "%"}
ARCS = {
    "kind": "arcs",
    "tokens": ["mix 1", "1", "mix 2", "2"],
    "layers": 2,
    "paths": [{"nodes": [3, 1], "weight": 1.0}, {"nodes": [3, 3, 0], "weight": 4.0}, {"nodes": [3, 2, 2], "weight": 2}],
    "x_label": "token",
}


def chart(given, **finding):
    drawn = charts.of_finding({"code": "FC601", "title": "heads", "details": {"chart": given}} | finding)
    return drawn[0] if drawn else None


def numbers_of(drawing, element, attribute):
    return [float(each.get(attribute)) for each in ET.fromstring(drawing).iter(element)]


@pytest.mark.parametrize("given", [BARS, LINES, HEAT, ARCS], ids=["bars", "lines", "heat", "arcs"])
def test_a_drawing_is_well_formed_and_described(given):
    made = chart(given)
    for drawing in filter(None, (made.wide, made.narrow)):
        root = ET.fromstring(drawing)
        assert root.find("title").text == "FC601 heads"
        assert root.find("desc").text
        assert "nan" not in drawing


def test_bars_start_at_zero_and_are_as_long_as_their_values():
    up, down = (
        [float(each.get(name)) for name in ("x", "width")] for each in ET.fromstring(chart(BARS).wide).iter("rect")
    )
    assert up[1] == pytest.approx(2 * down[1], rel=1e-3)
    assert up[0] == pytest.approx(down[0] + down[1], abs=0.02)


def test_lines_keep_the_order_of_their_values():
    low, high, middle = numbers_of(chart(LINES).wide, "circle", "cy")
    assert low > middle > high
    assert (low - high) == pytest.approx(2 * (low - middle), abs=0.05)
    assert [name for name, _ in chart(LINES).legend] == ["s", "t"]
    assert chart(LINES).table.rows == [["1", "1", NOTHING], ["2", "3", NOTHING], ["4", "2", NOTHING]]


def test_a_heat_map_shades_by_size_and_colours_by_sign():
    cells = re.findall(r'class="(more|less)" style="--share:([\d.]+)"', chart(HEAT).wide)
    assert cells == [("more", "0.50"), ("less", "1.00"), ("more", "0.25")]
    assert chart(HEAT).caption == "Highest 1.00 % at r, column 0; lowest -2.00 % at r, column 1."
    assert chart(HEAT).table.rows == [["r", "1.00", "-2.00"], ["q", NOTHING, "0.50"]]


def test_a_great_heat_map_says_what_it_leaves_out():
    rows, columns = 40, 64
    given = {"kind": "heat", "rows": [f"r{k}" for k in range(rows)], "columns": [str(k) for k in range(columns)]}
    made = chart(given | {"values": [[1.0] * columns] * rows})
    assert made.wide.count("<rect") == charts.MOST_CELLS
    assert "24 more rows are in the JSON report" in made.note


@pytest.mark.parametrize(
    "given",
    [
        None,
        "bars",
        {"kind": "bars"},
        {"kind": "heat", "rows": ["a"], "columns": ["b"], "values": [[None]]},
        {"kind": "lines", "x": [1], "series": [{"label": "s", "y": [math.nan]}]},
        ARCS | {"paths": []},
        ARCS | {"paths": [{"nodes": [3, 4], "weight": 1.0}, {"nodes": [3, 2, 1, 0], "weight": 1.0}]},
    ],
)
def test_a_chart_without_numbers_is_none(given):
    assert chart(given) is None


def test_arcs_are_paths_layer_by_layer():
    made = chart(ARCS)
    assert made.table.rows == [["2 ← 2 ← mix 1", "2", "4"], ["2 ← mix 2 ← mix 2", "2", "2"], ["2 ← 1", "1", "1"]]
    drawn = [each for each in ET.fromstring(made.wide).iter("path") if each.get("class", "").startswith("arc ")]
    light, middle, heavy = drawn  # the heaviest is drawn last, on top
    widths = [float(each.get("style").removeprefix("stroke-width:")) for each in drawn]
    assert widths == pytest.approx([arcs.THICKEST / 4, arcs.THICKEST / 2, arcs.THICKEST])
    hops = [[float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)", each.get("d"))] for each in drawn]
    (only,), (first, second), (above, below) = hops
    assert above == first < second == below == only  # a path of one layer runs in the bottom one
    assert heavy.get("d").count("c") == middle.get("d").count("c") == 1  # a loop where a path stays at its token
    assert light.get("d").count("a") == 1
    # An arc spans the tokens of its hop: from token 3 back to token 1, half of the row.
    assert float(light.get("d").split()[-2]) == pytest.approx(-(760 - 16 - 62) / 2, abs=0.2)
    assert made.caption == "The heaviest of 3 paths is 2 ← 2 ← mix 1, of weight 4."


def test_a_finding_may_have_several_charts_with_names():
    details = {"charts": [HEAT | {"title": "coefficients"}, "nothing", HEAT | {"title": "Jacobian"}]}
    drawn = charts.of_finding({"code": "FC710", "title": "t", "details": details})
    assert [each.title for each in drawn] == ["coefficients", "Jacobian"]
    assert "<title>FC710 t: Jacobian</title>" in drawn[1].wide


def test_a_table_of_a_finding_is_aligned():
    rows = [["identity", 0.1, 3, "+1.0 %"], ["zero", 0.25, None, NOTHING], ["short", 12.0]]
    given = {"columns": ["arm", "MSE", "draws", "effect"], "rows": rows}
    table = tables.finding_table({"code": "FC301", "title": "t", "details": {"table": given}})
    assert table.rows == [
        ["identity", "0.1000", "3", "+1.0 %"],
        ["zero", "0.2500", NOTHING, NOTHING],
        ["short", "12.0000", "", ""],
    ]
    assert [column.right for column in table.columns] == [False, True, True, True]


def test_the_page_draws_charts_and_keeps_the_rest_as_numbers(large):
    page = Report(large).to_html()
    article = re.search(r'<article [^>]*id="FC520".*?</article>', page, re.DOTALL).group()
    assert article.count("<svg") >= 2
    assert '<th scope="col">patch</th>' in article
    assert "&#34;draws&#34;: 5" in article
    assert "&#34;chart&#34;" not in article
    assert page.count('class="heat"') == 1


def test_every_family_of_arms_has_its_place(large):
    page = Report(large).to_html()
    for family, label in (("heads", "layer 2 head 15"), ("positions", "patch 64"), ("positions", "shuffled tokens")):
        section = page[page.index(f'id="family-{family}"') :]
        assert label in section[: section.index("</section>\n</section>")]
    stray = large | {"arms": [*large["arms"], large["arms"][-1] | {"family": "weather", "label": "rain"}]}
    overview = Report(stray).to_html().split('id="findings"')[0]
    assert "rain" in overview
    assert "weather" in Report(stray).to_text(verbose=True)


def test_hostile_charts_are_text():
    bad = report_samples.HOSTILE
    data = report_samples.audit(layers=1, heads=1, tokens=2, examples=0)
    for finding, given in zip(data["findings"], (BARS, LINES, HEAT, ARCS), strict=False):
        hostile = {
            "x": [bad, bad],
            "rows": [bad, bad],
            "columns": [bad, bad],
            "x_label": bad,
            "y_label": bad,
            "unit": bad,
            "title": bad,
            "tokens": [bad] * 4,
        }
        series = [{"label": bad, "y": [1.0, 2.0]}]
        table = {"columns": [bad], "rows": [[bad]]}
        finding["details"] = {"chart": given | hostile | {"series": series}, "table": table}
        finding["family"] = finding["code"] = bad
    page = Report(data).to_html()
    assert page.count("<script") == 1
    assert "<script>alert" not in page
