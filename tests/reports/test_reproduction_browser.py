"""The pages of papers in a real browser, opened as files."""

import re

import pytest
import reproduction_samples as samples

from forecheck.papers.reports.reproduction import Reproduction

pytestmark = pytest.mark.browser

# All folded numbers are opened; then the page is measured, and its links are followed.
PROBE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="report%(name)s.html" style="border:0;width:%(width)dpx;height:900px"></iframe>
<script>
var frame = document.getElementById("frame"), said = {};
function all(selector) { return Array.from(frame.contentDocument.querySelectorAll(selector)); }
function done() {
  var out = document.createElement("pre");
  out.id = "answer";
  out.textContent = JSON.stringify(said);
  document.body.appendChild(out);
}
frame.onload = function () {
  var page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
  all("details").forEach(function (each) { each.open = true; });
  said.verdict = page.getElementById("verdict").textContent;
  said.scroll = root.scrollWidth;
  said.top = page.getElementById("verdict").getBoundingClientRect().top;
  said.paper = view.getComputedStyle(page.body).backgroundColor;
  said.colours = {};
  %(selectors)s.forEach(function (selector) {
    said.colours[selector] = all(selector).map(function (each) {
      var style = view.getComputedStyle(each);
      return each.closest("svg") ? (style.fill === "none" ? style.stroke : style.fill) : style.color;
    });
  });
  said.seen = all("svg.lines, svg.heat").filter(function (each) { return each.clientWidth > 100; }).length;
  said.beyond = all("svg.lines text").filter(function (each) {
    var box = each.closest("svg").getBoundingClientRect(), text = each.getBoundingClientRect();
    return text.width && (text.right > box.right + 1 || text.left < box.left - 1 || text.bottom > box.bottom + 2);
  }).map(function (each) { return each.textContent; });
  said.collisions = 0;
  all("svg.lines:not(.bars)").forEach(function (svg) {
    var boxes = Array.from(svg.querySelectorAll("text")).map(function (each) { return each.getBoundingClientRect(); });
    boxes.forEach(function (a, k) {
      boxes.slice(k + 1).forEach(function (b) {
        var beside = a.left >= b.right || b.left >= a.right, below = a.top + 2 >= b.bottom || b.top + 2 >= a.bottom;
        said.collisions += a.width > 0 && !beside && !below;
      });
    });
  });
  var link = page.querySelector("%(follow)s");
  if (!link) { done(); return; }
  frame.onload = function () {
    said.next = frame.contentDocument.getElementById("verdict").textContent;
    var target = frame.contentDocument.querySelector(":target");
    said.target = target ? target.id : "";
    done();
  };
  link.click();
};
</script>"""
TEXTS = (".chip .word", ".code", ".rule", ".found", ".interval", "a", ".label", ".where", "dt", "figcaption")
LINES = (".line", ".dots", ".level")


@pytest.fixture
def ask(dump):
    """What a page says of itself, and where its first link of a kind leads."""

    def asked(data, width=1100, dark=False, name="", follow="nothing"):
        selectors = str([*TEXTS, *LINES])
        return dump(
            Reproduction(data), PROBE % {"name": name, "width": width, "selectors": selectors, "follow": follow}, dark
        )

    return asked


def contrast(colour, paper):
    """Of two colours as `rgb(1, 2, 3)` (Web Content Accessibility Guidelines 2.1)."""
    lights = []
    for text in (colour, paper):
        parts = [int(part) / 255 for part in re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", text).groups()]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("width", [360, 700, 1100, 1500])
@pytest.mark.parametrize(("make", "charts"), [(samples.one, 5), (samples.hostile, 3)])
def test_a_page_does_not_scroll_sideways_and_its_labels_stay_inside(ask, make, charts, width):
    data = make()
    paper = samples.reproduction(data["papers"][:1])
    answer = ask(paper, width)
    assert answer["scroll"] <= width
    assert answer["top"] < 200
    assert answer["beyond"] == []
    assert answer["collisions"] == 0
    assert answer["seen"] == charts


@pytest.mark.parametrize("width", [360, 1100])
def test_the_index_does_not_scroll_sideways(ask, width):
    for data in (samples.several(), samples.hostile()):
        assert ask(data, width)["scroll"] <= width


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_both_schemes_have_contrast(ask, dark):
    answer = ask(samples.one(), dark=dark)
    paper = answer["paper"]
    assert (contrast("rgb(255, 255, 255)", paper) > 10) == dark
    for selector, colours in answer["colours"].items():
        assert colours, selector
        least = min(contrast(colour, paper) for colour in colours)
        assert least >= (3 if selector in LINES else 4.5), selector


def test_links_lead_from_the_index_to_a_claim_and_back(ask):
    data = samples.several()
    answer = ask(data, follow=".paper:nth-of-type(4) .claims a")
    assert answer["verdict"].startswith("6 claims confirmed")
    assert answer["next"].startswith("Why Samovar")
    assert answer["target"] == "claim-gap"
    back = ask(data, name="-samovar", follow=".contents .back a")
    assert back["next"] == answer["verdict"]
