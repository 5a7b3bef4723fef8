"""The page in a real browser, opened as a file."""

import json
import re
import subprocess

import pytest
from headless import QUIET

from forecheck.reports.report import Report

pytestmark = pytest.mark.browser

# A page without script of its own is asked through a frame beside it, at any width and with the theme pressed or not.
PROBE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="report.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>
document.getElementById("frame").onload = function () {{
  var page = this.contentDocument, view = this.contentWindow, root = page.documentElement;
  var press = {press};
  if (press) {{ page.getElementById("theme").click(); }}
  var head = page.getElementById("verdict").getBoundingClientRect(), scroll = root.scrollWidth;
  var tab = page.querySelector("#pages a[href='#horizon']");
  if (tab) {{ tab.click(); }}
  var plots = Array.from(page.querySelectorAll("svg.lines[data-steps]"));
  var shown = plots.find(function (each) {{ return each.clientWidth; }}), box = shown.getBoundingClientRect();
  var middle = {{ clientX: box.left + box.width / 2, clientY: box.top + 20 }};
  shown.dispatchEvent(new view.PointerEvent("pointermove", middle));
  var out = document.createElement("pre");
  out.id = "answer";
  out.textContent = JSON.stringify({{
    verdict: page.getElementById("verdict").textContent,
    top: head.top, height: head.height,
    scroll: Math.max(scroll, root.scrollWidth), width: root.clientWidth,
    paper: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.body).color,
    tip: page.querySelector(".tip").innerText,
    empty: Array.from(page.images).filter(function (each) {{ return !each.naturalWidth; }}).length
  }});
  document.body.appendChild(out);
}};
</script>"""


# Steps of somebody who uses the page; `say` keeps an answer by its name.
USE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="report.html{fragment}" style="border:0;width:{width}px;height:900px"></iframe>
<script>
document.getElementById("frame").onload = function () {{
  var view = this.contentWindow, page = this.contentDocument, said = {{}};
  function all(selector) {{ return Array.from(page.querySelectorAll(selector)); }}
  function seen(element) {{ return element.getClientRects().length > 0; }}
  function shown() {{ return all("main > .page").filter(seen).map(function (each) {{ return each.id; }}); }}
  function code(finding) {{ return finding.querySelector(".code").textContent; }}
  function codes() {{ return all(".finding").filter(seen).map(code); }}
  function text(id) {{ return page.getElementById(id).textContent.trim(); }}
  function click(selector) {{ page.querySelector(selector).click(); }}
  function put(id, value, event) {{
    var input = page.getElementById(id);
    input.value = value;
    input.dispatchEvent(new view.Event(event));
  }}
  function type(words) {{ put("words", words, "input"); }}
  function choose(id, name) {{ put(id, name, "change"); }}
  function press(selector, key) {{
    page.querySelector(selector).dispatchEvent(new view.KeyboardEvent("keydown", {{ key: key, bubbles: true }}));
  }}
  function say(name, value) {{ said[name] = value; }}
  {steps}
  var out = document.createElement("pre");
  out.id = "answer";
  out.textContent = JSON.stringify(said);
  document.body.appendChild(out);
}};
</script>"""


@pytest.fixture
def ask(dump):
    """What the page says about itself."""

    def asked(report, width=1100, dark=False, press=False):
        return dump(report, PROBE.format(width=width, press=json.dumps(press)), dark)

    return asked


@pytest.fixture
def use(dump, large):
    """What the page of a large audit, or of other data, says on the way of `steps`."""

    def used(steps, fragment="", width=1100, data=large):
        return dump(Report(data), USE.format(steps=steps, fragment=fragment, width=width))

    return used


def test_the_verdict_is_seen_at_once_and_the_script_answers(ask, report):
    answer = ask(report)
    assert " ".join(answer["verdict"].split()) == str(report.verdict)
    assert answer["height"] > 0
    assert answer["top"] < 300
    assert answer["empty"] == 0
    steps = len(report.data["horizon"]["curves"][0]["mse"])
    # The middle of the drawing, which has the labels on its left.
    assert answer["tip"].startswith(f"step {round(0.479 * steps)}\n")


def test_the_card_speaks_the_sentence_and_draws_its_numbers(use, judged):
    said = use(
        """
      say("sentence", text("verdict").replace(/\\s+/g, " "));
      say("drawn", all(".answer .point").filter(seen).length);
      say("rungs", all(".ladder .rung").filter(seen).map(function (each) { return each.textContent; }));
      function right(element) { return element.getBoundingClientRect().right; }
      say("right", Math.max.apply(null, all(".answer *").map(right)));
    """,
        width=400,
        data=judged,
    )
    assert said["sentence"] == judged["verdict"]["sentence"]
    assert said["drawn"] == 3
    assert said["rungs"] == ["yes", "yes", "undecided", "yes", "not asked", "no"]
    assert said["right"] <= 400


@pytest.mark.parametrize("width", [400, 700])
def test_the_page_does_not_scroll_sideways(ask, report, width):
    answer = ask(report, width)
    assert answer["width"] == width
    assert answer["scroll"] <= width


def test_dark_and_light_differ_and_the_button_swaps_them(ask, audit):
    report = Report(audit)
    light, dark = ask(report), ask(report, dark=True)
    assert light["paper"] != dark["paper"]
    assert light["ink"] != dark["ink"]
    assert ask(report, press=True)["paper"] == dark["paper"]
    assert ask(report, dark=True, press=True)["paper"] == light["paper"]


def test_a_tab_shows_its_family_alone(use):
    said = use("""
      say("start", shown());
      say("current", text("pages").length > 0 && page.querySelector("#pages [aria-current]").getAttribute("href"));
      click("#pages a[href='#family-heads']");
      say("heads", shown()); say("codes", codes()); say("address", view.location.hash);
      say("heat", seen(page.querySelector("#family-heads svg.heat")));
      say("marked", page.querySelector("#pages [aria-current]").getAttribute("href"));
      click("#pages a[href='#attention']");
      say("attention", shown());
      click("#pages a[href='#setting']");
      say("setting", shown());
    """)
    assert said["start"] == ["overview"]
    assert said["current"] == "#overview"
    assert said["heads"] == ["family-heads"]
    assert said["codes"] == ["FC620", "FC621", "FC622", "FC623"]
    assert said["address"] == said["marked"] == "#family-heads"
    assert said["heat"]
    assert said["attention"] == ["attention"]
    assert said["setting"] == ["setting"]


def test_findings_are_filtered_across_families(use, large):
    said = use("""
      click("#pages a[href='#family-heads']");
      type("effect HEAD");
      say("words", codes()); say("left", text("left")); say("page", shown());
      type("no such word");
      say("none", codes()); say("nothing", seen(page.getElementById("nothing")));
      click("#all");
      say("all", codes().length); say("total", text("left"));
      click("[data-outcome='undecided']");
      say("undecided", codes());
      click("[data-outcome='fail']");
      say("two", codes());
      click("[data-urgent]");
      say("both", codes());
      click("#pages a[href='#family-heads']");
      say("family", codes());
      click("#pages a[href='#findings']");
      click("#all");
      click("[data-urgent]");
      say("urgent", codes());
      say("count", page.querySelector("#pages a[href='#family-harness'] .count").textContent);
    """)
    outcomes = {each["code"]: each["outcome"] for each in large["findings"]}
    urgent = {each["code"] for each in large["findings"] if each["severity"] != "info"}
    failed = {code for code, outcome in outcomes.items() if outcome == "fail"}
    undecided = {code for code, outcome in outcomes.items() if outcome == "undecided"}
    assert said["words"] == ["FC620"]
    assert said["left"] == "1 of 55 findings"
    assert said["page"] == ["findings", "family-heads"]
    assert said["none"] == []
    assert said["nothing"]
    assert said["all"] == 55
    assert said["total"] == "55 findings"
    assert set(said["undecided"]) == undecided
    assert set(said["two"]) == undecided | failed
    assert set(said["both"]) == failed & urgent
    assert said["family"] == []
    assert set(said["urgent"]) == urgent
    assert said["count"] == "3/12"


def test_layer_and_head_of_the_large_map_are_chosen(use):
    said = use(
        """
      function picture() { return page.querySelector("#large img").src; }
      function small(layer, head) { return all(".maps figure[data-layer='" + layer + "']")[head]; }
      say("start", text("reading")); say("same", picture() === small(0, 0).querySelector("img").src);
      choose("layer", "2"); choose("head", "7");
      say("chosen", text("reading")); say("moved", picture() === small(2, 7).querySelector("img").src);
      press(".axes", "ArrowRight"); press(".axes", "ArrowUp");
      say("keys", text("reading"));
      say("selects", page.getElementById("layer").value + " " + page.getElementById("head").value);
      press(".axes", "ArrowDown"); press(".axes", "ArrowDown");
      say("end", text("reading"));
      small(0, 15).click();
      say("clicked", text("reading"));
      press(".axes", "ArrowRight");
      say("last", text("reading"));
      say("size", page.querySelector("#large img").clientWidth);
      say("ticks", page.querySelector(".x-ticks").textContent);
    """,
        "#attention",
    )
    assert re.fullmatch(
        r"Layer 0, head 0: spreads over 2\.\d of 42 tokens; entropy 0\.\d+ of at most 3\.74 nats\.", said["start"]
    )
    assert said["same"]
    assert said["moved"]
    assert said["chosen"].startswith("Layer 2, head 7:")
    assert said["keys"].startswith("Layer 1, head 8:")
    assert said["selects"] == "1 8"
    assert said["end"].startswith("Layer 2, head 8:")
    assert said["clicked"].startswith("Layer 0, head 15:")
    assert said["last"] == said["clicked"]
    assert said["size"] > 200
    assert said["ticks"] == "12242"


@pytest.mark.parametrize(
    ("fragment", "page"),
    [
        ("#FC301", "family-post-hoc"),
        ("#family-black-box", "family-black-box"),
        ("#environment", "setting"),
        ("#x%", "overview"),
    ],
)
def test_a_deep_link_opens_its_page(use, fragment, page):
    said = use(
        "say('shown', shown()); say('marked', all('.target').map(function (each) { return each.id; }));", fragment
    )
    assert said["shown"] == [page]
    assert said["marked"] == ([fragment[1:]] if fragment.startswith("#FC") else [])


def test_a_link_to_a_finding_that_is_filtered_out_takes_the_filter_away(use):
    said = use("""
      click("#pages a[href='#findings']");
      type("FC620");
      click("#pages a[href='#overview']");
      click("#overview a[href='#FC301']");
      say("codes", codes()); say("words", page.getElementById("words").value);
    """)
    assert "FC301" in said["codes"]
    assert said["words"] == ""


@pytest.mark.parametrize("sample", ["large", "judged", "remedied"])
def test_no_page_scrolls_sideways(use, sample, request):
    data = request.getfixturevalue(sample)
    said = use(
        """
      all("#pages a").forEach(function (link) {
        link.click();
        say(link.getAttribute("href"), page.documentElement.scrollWidth);
      });
    """,
        width=400,
        data=data,
    )
    assert len(said) == 2 + len({each["family"] for each in data["findings"]}) + 4 + ("remedies" in data)
    assert {page: width for page, width in said.items() if width > 400} == {}


def test_the_page_reads_without_script(chromium, tmp_path, audit):
    page = Report(audit).to_html().replace("<script>", "<script type='text/none'>")
    (tmp_path / "report.html").write_text(page)
    command = [chromium, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1100,1400"]
    command += [f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "report.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert (tmp_path / "page.png").stat().st_size > 50_000
    assert 'id="theme" type="button" hidden' in page
