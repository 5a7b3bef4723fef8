import base64
import hashlib
import json
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
import report_samples

from forecheck.reports import forest, heatmap, plots, svg
from forecheck.reports.report import Report

VOID = {"meta", "img", "br", "link", "input"}
LIMIT = 500_000


class Page(HTMLParser):
    """Checks that elements are closed in order; gathers attributes, identifiers and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def full_null(value):
    """The same dict with every number that may be missing gone."""
    if isinstance(value, dict):
        return {key: full_null(part) for key, part in value.items()}
    if isinstance(value, list):
        return [full_null(part) for part in value]
    return None if isinstance(value, float) else value


def test_a_report_of_full_size_is_small(audit):
    assert len(Report(audit).to_html().encode()) < LIMIT


def test_a_report_with_every_family_is_small(large):
    assert len(Report(large).findings) == 55
    assert len(Report(large).to_html().encode()) < LIMIT


@pytest.mark.parametrize(
    "size",
    [
        {"layers": 8, "heads": 32, "tokens": 30},
        {"layers": 1, "heads": 4, "tokens": 321},
        {"horizon": 720, "lookback": 720, "examples": 20},
    ],
    ids=str,
)
def test_a_report_beyond_full_size_stays_below_the_limit(size):
    assert len(Report(report_samples.audit(**size)).to_html().encode()) < 2 * LIMIT


def test_the_page_is_well_formed(page):
    identifiers = [value for _, name, value in Page(page).attributes if name == "id"]
    assert len(identifiers) == len(set(identifiers))
    drawings = re.findall(r"<svg.*?</svg>(?=\s*(?:</|\w))", page, re.DOTALL)
    assert drawings
    for drawing in re.findall(r'<svg class="lines".*?</svg>|<svg [^>]*class="lines".*?</svg>', page, re.DOTALL):
        root = ET.fromstring(drawing)
        assert root.find("title").text
        assert root.find("desc").text
        assert root.get("role") == "img"


def test_the_page_loads_nothing(page):
    for tag, name, value in Page(page).attributes:
        if name in {"src", "href", "action", "data", "poster", "srcset", "xlink:href"}:
            assert value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"@import|url\(|https?:|//[a-z]+\.[a-z]", page)
    assert "<link" not in page


def test_only_our_script_may_run(page):
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = [value for tag, name, value in Page(page).attributes if tag == "meta" and "default-src" in value]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("make", [report_samples.audit, report_samples.backtest])
def test_hostile_names_are_text(make):
    report = Report(make(name=report_samples.HOSTILE, channel=report_samples.HOSTILE))
    for row in [*report.data.get("arms", []), *report.data.get("table", [])]:
        row["label"] = row["model"] = report_samples.HOSTILE
    for curve in report.data["horizon"]["curves"]:
        curve["label"] = report_samples.HOSTILE
    page = Page(report.to_html())
    assert page.tags.count("script") == page.tags.count("style") == 1
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "</style></script><script>alert('x')</script>\"'&|`*_[a](b)]]>" in page.text
    assert "\x07" not in report.to_html()
    markdown = report.to_markdown()
    assert "<script" not in markdown


def test_the_page_says_what_matters(audit):
    page = Page(Report(audit).to_html())
    said = page.text
    shown = said[said.index("What to do.") :]
    assert said.index("Attention makes no difference:") < said.index("What to do.")
    heads = ["What needs attention", "Findings by family", "Effects How much", "those with an error first"]
    heads += ["Effect of each arm", "Loss along the horizon", "Attention maps", "Examples", "Protocol", "Environment"]
    assert [shown.index(head) for head in heads] == sorted(shown.index(head) for head in heads)
    for fact in ("+0.4 %", "[-0.3, +1.1]", "FC301", "2,449", "0.3815", "EPYC"):
        assert fact in said


def test_remedies_have_a_page_with_what_attention_contributes(remedied):
    page = Report(remedied).to_html()
    section = page[page.index('<section class="page" id="remedies">') :].split("</section>")[0]
    assert '<a href="#remedies"><span>Remedies</span>' in page
    titles = re.findall(r'<th scope="rowgroup" colspan="4">(.*?)</th>', section)
    assert [title.split(",")[0] for title in titles] == [
        "Attention&#39;s contribution",
        "Its growth by the remedy",
        "Contribution of where it looks",
    ]
    assert section.count('<svg class="effect o-') == 4 + 3 + 4
    assert [name for name in ("grows", "does-not-grow", "shrinks") if f'class="chip o-{name}"' not in section] == []
    assert "contribution over the plain mean" not in section  # the plot has it
    assert 'id="remedies"' not in Report(report_samples.audit()).to_html()


def test_numbers_of_remedies_may_be_missing(remedied):
    bare = Report(remedied | {"remedies": full_null(remedied["remedies"])})
    assert "score-bias" in bare.to_html()
    assert "score-bias" in bare.to_text(verbose=True)


def test_a_backtest_page_says_what_matters(backtest):
    said = Page(Report(backtest).to_html()).text
    for fact in ("Forecast with rlinear:", "seasonal naive", "-0.2 % [-1.0, +1.2]", "ridge 0.001", "EPYC"):
        assert fact in said
    assert "Attention maps" not in said


def test_every_number_may_be_missing(report):
    empty = Report(full_null(report.data))
    page = empty.to_html()
    assert "nan" not in Page(page).text.split()
    assert "None" not in Page(page).text
    assert "None" not in empty.to_text(120, verbose=True)
    assert "None" not in empty.to_markdown()


def test_headers_of_tables_have_their_scope(page):
    parsed = Page(page)
    assert parsed.tags.count("th") == sum(tag == "th" and name == "scope" for tag, name, _ in parsed.attributes)


def luminance(colour):
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_the_contrast_of_wcag_aa(page):
    """4.5:1 for text, 3:1 for curves and controls (Web Content Accessibility Guidelines 2.1, 1.4.3, 1.4.11)."""
    themes = re.findall(r"\{([^{}]*--paper:[^{}]*)\}", page)
    assert len(themes) == 4
    for theme in themes:
        colours = dict(re.findall(r"--([a-z0-9]+): (#[0-9a-f]{6});", theme))
        for name in colours.keys() - {"paper", "raised", "rule", "band", "seen"}:
            high, low = sorted((luminance(colours[name]), luminance(colours["paper"])), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= (3 if name.startswith("c") or name == "edge" else 4.5), name


def test_pictures_have_a_text(audit):
    page = Page(Report(audit).to_html())
    assert page.tags.count("img") == 3 * 16 + 1
    texts = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(texts) == page.tags.count("img")
    assert re.fullmatch(r"layer 0, head 0: spreads over \d+\.\d of 42 tokens", texts[1])


def test_the_notebook_frame_holds_the_page(audit):
    page = Page(Report(audit)._repr_html_())
    [frame] = [value for _, name, value in page.attributes if name == "srcdoc"]
    assert frame == Report(audit).to_html()
    assert page.tags == ["iframe"]


def test_a_picture_decodes_to_its_levels():
    levels = np.random.default_rng(0).integers(0, heatmap.LEVELS, (5, 7)).astype(np.uint8)
    data = heatmap.png(levels)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        chunks[kind] = data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + chunks[kind])
        at += 12 + size
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (7, 5)
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(5, 8)
    np.testing.assert_array_equal(rows[:, 1:], levels)
    assert tuple(chunks[b"PLTE"][:3]) == heatmap.LIGHT
    assert tuple(chunks[b"PLTE"][-3:]) == heatmap.DARK


def test_pooling_keeps_the_mean_and_the_size():
    matrix = np.random.default_rng(0).random((12, 12))
    pooled = heatmap.pooled(matrix, 4)
    np.testing.assert_allclose(pooled, matrix.reshape(4, 3, 4, 3).mean(axis=(1, 3)))
    assert heatmap.pooled(matrix, 5).shape == (5, 5)
    assert heatmap.pooled(matrix, 12) is matrix


def test_effective_tokens_of_known_matrices():
    assert heatmap.effective_tokens(np.eye(6)) == pytest.approx(1)
    assert heatmap.effective_tokens(np.full((6, 6), 1 / 6)) == pytest.approx(6)


def test_a_forest_clips_what_leaves_it(audit):
    plot = forest.of_arms(audit)
    rows = {(title, row.label): row for title, part in plot.groups for row in part}
    assert plot.clipped
    far, near = rows["References", "last value"], rows["Retrained arms", "identity"]
    assert "arrow" in far.drawing
    assert "point" not in far.drawing
    assert "arrow" not in near.drawing
    assert "+0.4 % [-0.3, +1.1]" in near.drawing
    for value in re.findall(r'(?:x|x1|x2|cx)="(-?[\d.]+)%"', far.drawing + near.drawing):
        assert 0 <= float(value) <= 100


def test_the_readings_of_the_horizon_are_its_values(audit):
    drawn = plots.horizon(audit)
    series = json.loads(drawn.readings)
    np.testing.assert_allclose(np.array(series[0][1]) * drawn.unit, audit["horizon"]["curves"][0]["mse"], rtol=1e-3)
    assert len(series) == len(audit["horizon"]["curves"])


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [(0, 1, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]), (-0.3, 12, ["0", "5", "10"]), (3, 3, ["3"])],
)
def test_ticks_are_round(low, high, labels):
    assert svg.tick_labels(svg.ticks(low, high, 6)) == labels


def test_a_path_is_interrupted_where_values_are_missing():
    assert svg.path([(0, 0.0), (1, 1.0), (2, None), (3, 2.04)]) == "M0 0l0 0l1 1M3 2l0 0"


def test_thinning_keeps_the_extremes():
    values = np.sin(np.arange(5000) / 7).tolist()
    kept = svg.thin(values, 200)
    assert len(kept) <= 200
    assert max(value for _, value in kept) == max(values)
    assert [k for k, _ in kept] == sorted(k for k, _ in kept)
