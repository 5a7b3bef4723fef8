"""The page of forecasts in a real browser: the search, the charts that it draws, and what a pointer reads."""

import json
import subprocess

import numpy as np
import pytest
from headless import QUIET

import forecheck as fc
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel

pytestmark = pytest.mark.browser

PROBE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="report.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>
document.getElementById("frame").onload = function () {{
  var view = this.contentWindow, page = this.contentDocument, said = {{}};
  function all(selector) {{ return Array.from(page.querySelectorAll(selector)); }}
  function text(each) {{ return each.textContent; }}
  function names(selector) {{ return all(selector + " figcaption b").map(text); }}
  function put(id, value, event) {{
    page.getElementById(id).value = value;
    page.getElementById(id).dispatchEvent(new view.Event(event));
  }}
  function point(svg, share) {{
    var box = svg.getBoundingClientRect(), left = +svg.dataset.left, right = +svg.dataset.right;
    var at = box.left + (left + share * (right - left)) / svg.viewBox.baseVal.width * box.width;
    svg.dispatchEvent(new view.PointerEvent("pointermove", {{ clientX: at, clientY: box.top + 20 }}));
    return svg.closest("figure").querySelector(".tip").innerText;
  }}
  said.drawn = names("#drawn");
  said.tip = point(page.querySelector("#drawn svg.lines"), 1);
  said.before = point(page.querySelector("#drawn svg.lines"), 0);
  said.scroll = page.documentElement.scrollWidth;
  put("words", "SHOP_1", "input");
  said.found = names("#found");
  said.left = page.getElementById("left").textContent;
  said.hidden = page.getElementById("drawn").hidden;
  said.same = point(page.querySelector("#found svg.lines"), 1);
  said.paths = page.querySelectorAll("#found figure:first-child path").length;
  said.bad = /NaN|undefined|Infinity/.test(page.getElementById("found").innerHTML);
  put("words", "", "input");
  put("order", "back", "change");
  said.smallest = names("#found")[0];
  said.count = names("#found").length;
  page.getElementById("more").click();
  said.more = names("#found").length;
  put("order", "name", "change");
  said.named = names("#found").slice(0, 3);
  put("order", "", "change");
  said.again = !page.getElementById("drawn").hidden;
  var out = document.createElement("pre");
  out.id = "answer";
  out.textContent = JSON.stringify(said);
  document.body.appendChild(out);
}};
</script>"""


def made(count=20, rows=30):
    rng = np.random.default_rng(0)
    values = 20 + np.linspace(0.1, 3, count)[:, None] * rng.standard_normal((count, rows))
    values[1] = 5.0
    time = np.tile((np.datetime64("2020-01") + np.arange(rows)).astype("datetime64[us]"), count)
    names = tuple(f"shop_{k}" for k in range(count))
    panel = Panel(
        values.reshape(-1, 1), np.arange(0, count * rows + 1, rows), time, names, ("sold",), Frequency("month"), "shops"
    )
    return fc.forecast(panel, horizon=3, level=[80, 95], model="combination", workers=0)


@pytest.fixture(scope="module")
def forecast():
    return made()


@pytest.mark.parametrize(("width", "dark"), [(1100, False), (400, True)])
def test_series_are_found_drawn_and_read(forecast, dump, width, dark):
    said = dump(forecast, PROBE.format(width=width), dark)
    order = np.argsort(-forecast.behind.losses)
    names = [forecast.names[k] for k in order if not np.isnan(forecast.behind.losses[k])]
    assert said["drawn"][:6] == names[:6]
    assert said["scroll"] <= width
    assert said["tip"].startswith("2022-09")
    last = forecast.columns["combination"].reshape(-1, 3)[order[0]]
    reported = float(said["tip"].split("forecast")[1].split("80 %")[0])
    assert reported == pytest.approx(last[-1], rel=2e-3)
    assert "80 %" in said["tip"]
    assert "95 %" in said["tip"]
    assert said["before"].startswith("2020-01")
    assert set(said["found"]) == {"shop_1", *(f"shop_{k}" for k in range(10, 20))}
    assert said["found"][0] == "shop_1"
    assert said["left"] == "11 of 20"
    assert said["hidden"]
    assert said["paths"] > 5
    assert not said["bad"]
    assert said["smallest"] in ("shop_1", names[-1])
    assert (said["count"], said["more"]) == (12, 20)
    assert said["named"] == ["shop_0", "shop_1", "shop_2"]
    assert said["again"]


def test_a_found_chart_says_what_the_drawn_one_says(forecast, dump):
    probe = PROBE.format(width=1100).replace(
        '"SHOP_1"', json.dumps(forecast.names[int(np.nanargmax(forecast.behind.losses))])
    )
    said = dump(forecast, probe)
    assert said["same"] == said["tip"]


def test_it_prints(forecast, chromium, tmp_path):
    forecast.to_html(tmp_path / "f.html")
    command = [chromium, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'f.pdf'}"]
    subprocess.run([*command, (tmp_path / "f.html").as_uri()], capture_output=True, timeout=120, check=True)
    assert (tmp_path / "f.pdf").stat().st_size > 20_000
