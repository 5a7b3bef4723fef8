"""Reports: names that are meant to be run, and report files from others."""

from __future__ import annotations

import base64
import copy
import csv
import hashlib
import io
import json
import random
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from common import changed, text

import forecheck as fc

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "reports"))
import report_samples
import reproduction_samples

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class _Page(HTMLParser):
    """Scripts, and attributes that could run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.policy = ""
        self.bad: list[str] = []
        self._in_script = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script" and given.get("type", "") != "application/json":
            self.scripts.append("")
            self._in_script = True
        if given.get("http-equiv") == "Content-Security-Policy":
            self.policy = given.get("content") or ""
        if tag in ("iframe", "object", "embed", "base", "form") and tag != "form":
            self.bad.append(tag)
        for name, held in attrs:
            if name.startswith("on") or (name in ("href", "src", "xlink:href") and not _leads_inside(held or "")):
                self.bad.append(f"{tag} {name}={(held or '')[:80]!r}")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def _leads_inside(target: str) -> bool:
    return target.startswith(("#", "data:image/", "https://")) or bool(
        re.fullmatch(r"[\w.%-]+\.html(#[\w.%-]*)?", target)
    )


def _check_page(draw: random.Random, folder: Path, page: str) -> None:
    found = _Page(page)
    assert not found.bad, found.bad
    assert len(found.scripts) == 1, "another script"
    digest = base64.b64encode(hashlib.sha256(found.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in found.policy, found.policy
    assert "default-src 'none'" in found.policy
    if _CHROMIUM and draw.random() < 0.05:
        _check_in_browser(folder, page)


def _check_in_browser(folder: Path, page: str) -> None:
    """Nothing of the page changes its title, which is what our scripts try, and nothing is logged."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    command = [_CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"]
    done = subprocess.run([*command, (folder / "page.html").as_uri()], capture_output=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout.decode(errors="replace"), re.DOTALL)
    assert title is None or title[1] != "owned", "a script of the data was run"
    logged = re.findall(r".*CONSOLE.*", done.stderr.decode(errors="replace"))
    assert not logged, logged


def _check_text(shown: str) -> None:
    assert not (found := _OBEYED.search(shown)), repr(found)


def _panel(draw: random.Random, channels: int, rows: int = 80) -> fc.Panel:
    from forecheck.data.frequency import Frequency

    names: list[str] = []
    while len(names) < channels:
        name = text(draw) if channels < 50 else f"{draw.choice(['<b>', '=', ''])}{len(names)}"
        names.append(name if name not in names else f"{name}{len(names)}")
    values = np.random.default_rng(draw.randrange(10**6)).standard_normal((rows, channels)).cumsum(0)
    time = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D")
    day = Frequency("us", 86_400_000_000)
    return fc.Panel(values, np.array([0, rows]), time, (text(draw),), tuple(names), day, text(draw))


def names(draw: random.Random, folder: Path) -> None:
    """Names of data in forecasts, pages, CSV, Markdown and on a terminal."""
    _all_forms(draw, folder, _panel(draw, draw.choice([1, 3])))


def wide(draw: random.Random, folder: Path) -> None:
    """Ten thousand channels."""
    _all_forms(draw, folder, _panel(draw, 10_000, rows=40))


def _all_forms(draw: random.Random, folder: Path, panel: fc.Panel) -> None:
    made = fc.forecast(panel, horizon=2, model=draw.choice(["last", "mean"]), workers=0, store=folder / "store")
    for row in csv.reader(io.StringIO(made.to_csv(formulas=False).decode())):
        assert not row[0].startswith(_FORMULA), row[0][:50]
    ids = [row[0] for row in csv.reader(io.StringIO(made.to_csv().decode(), newline=""))][1:]
    assert ids == list(map(str, made.columns["unique_id"])), "ids that a reader finds otherwise"
    _check_page(draw, folder, made.to_html())
    _check_text(repr(made))
    report = fc.backtest(panel, ["last", "mean"], horizon=2, lookback=4, workers=0, store=folder / "store")
    _check_page(draw, folder, report.to_html())
    for shown in (report.to_text(80), report.to_text(100, verbose=True), repr(report), str(report)):
        _check_text(shown)
    assert "<script" not in report.to_markdown().replace("\\<", "").lower()
    report.to_html(folder / "a.html")
    report.to_json(folder / "a.json")
    assert fc.Report.load(folder / "a.json").to_dict() == report.to_dict()
    assert {path.name for path in folder.iterdir()} <= {"a.html", "a.json", "store", "page.html", "profile"}


def reports(draw: random.Random, folder: Path) -> None:
    """Report files of which values are others, or names are meant to be run."""
    kinds = [report_samples.audit, report_samples.backtest, report_samples.large_audit]
    data = json.loads(json.dumps(copy.deepcopy(_sample(draw.choice(kinds)))))
    kind: type[fc.Report] = fc.Report
    if draw.random() < 0.2:
        data, kind = json.loads(json.dumps(reproduction_samples.many())), fc.Reproduction
    for _ in range(draw.choice([1, 1, 4])):
        data = changed(draw, data)
    content = json.dumps(data).encode()
    if draw.random() < 0.1:
        from common import mutated

        content = mutated(draw, content)
    (folder / "a.json").write_bytes(content)
    report = kind.load(folder / "a.json")
    _check_page(draw, folder, report.to_html())
    for shown in (report.to_text(80), report.to_text(100, verbose=True), repr(report)):
        _check_text(shown)
    report.to_markdown()


_SAMPLES: dict[object, object] = {}


def _sample(kind: object) -> object:
    if kind not in _SAMPLES:
        _SAMPLES[kind] = kind()  # type: ignore[operator]
    return _SAMPLES[kind]
