"""The page in a real browser, opened as a file."""

import json
import re
import subprocess

import pytest

from forecheck.reports.report import Report

pytestmark = pytest.mark.browser

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
# A page without script of its own is asked through a frame beside it, at any width and with the theme pressed or not.
PROBE = """<!doctype html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" src="report.html" style="border:0;width:{width}px;height:900px"></iframe>
<script>
document.getElementById("frame").onload = function () {{
  var page = this.contentDocument, view = this.contentWindow, root = page.documentElement;
  var press = {press};
  if (press) {{ page.getElementById("theme").click(); }}
  var head = page.getElementById("verdict").getBoundingClientRect();
  var plots = Array.from(page.querySelectorAll("svg.lines[data-steps]"));
  var shown = plots.find(function (each) {{ return each.clientWidth; }}), box = shown.getBoundingClientRect();
  var middle = {{ clientX: box.left + box.width / 2, clientY: box.top + 20 }};
  shown.dispatchEvent(new view.PointerEvent("pointermove", middle));
  var out = document.createElement("pre");
  out.id = "answer";
  out.textContent = JSON.stringify({{
    verdict: page.getElementById("verdict").textContent,
    top: head.top, height: head.height,
    scroll: root.scrollWidth, width: root.clientWidth,
    paper: view.getComputedStyle(page.body).backgroundColor,
    ink: view.getComputedStyle(page.body).color,
    tip: page.querySelector(".tip").innerText,
    empty: Array.from(page.images).filter(function (each) {{ return !each.naturalWidth; }}).length
  }});
  document.body.appendChild(out);
}};
</script>"""


@pytest.fixture
def ask(chromium, tmp_path):
    """Opens a report and gives what the page says about itself."""

    def asked(report, width=1100, dark=False, press=False):
        report.to_html(tmp_path / "report.html")
        (tmp_path / "probe.html").write_text(PROBE.format(width=width, press=json.dumps(press)))
        scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
        command = [
            chromium,
            *QUIET,
            f"--user-data-dir={tmp_path / 'profile'}",
            scheme,
            "--allow-file-access-from-files",
        ]
        command += ["--virtual-time-budget=3000", "--dump-dom", (tmp_path / "probe.html").as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        log = done.stderr.decode(errors="replace")
        assert not re.findall(r".*CONSOLE.*", log)
        answer = re.search(r'<pre id="answer">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
        assert answer, log
        return json.loads(answer.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))

    return asked


def test_the_verdict_is_seen_at_once_and_the_script_answers(ask, report):
    answer = ask(report)
    assert " ".join(answer["verdict"].split()) == str(report.verdict)
    assert answer["height"] > 0
    assert answer["top"] < 300
    assert answer["empty"] == 0
    assert answer["tip"].startswith("step 46")  # the middle of the drawing, which has the labels on its left


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


def test_the_page_reads_without_script(chromium, tmp_path, audit):
    page = Report(audit).to_html().replace("<script>", "<script type='text/none'>")
    (tmp_path / "report.html").write_text(page)
    command = [chromium, *QUIET, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1100,1400"]
    command += [f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "report.html").as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert (tmp_path / "page.png").stat().st_size > 50_000
    assert 'id="theme" type="button" hidden' in page
