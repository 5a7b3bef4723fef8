"""Reproductions as offline pages: one a paper, and an index of several."""

import base64
import hashlib
import re

import pytest
import reproduction_samples as samples
from test_report_html import Page

from forecheck.papers.plots import curve, curves
from forecheck.papers.reports import html as papers_html
from forecheck.papers.reports.reproduction import Reproduction

LIMIT = 500_000


def pages(make, file="all.html"):
    return papers_html.pages(Reproduction(make()).data, file)


def section(page, anchor):
    return page[page.index(f'<section class="claim" id="{anchor}">') :].split("</section>")[0]


@pytest.fixture(params=[samples.one, samples.several, samples.hostile])
def every(request):
    return pages(request.param)


def test_a_paper_is_one_page():
    assert list(pages(samples.one)) == ["all.html"]
    assert Reproduction(samples.one()).to_html() == pages(samples.one)["all.html"]


def test_several_papers_have_an_index_and_a_page_each(tmp_path):
    index = Reproduction(samples.several()).to_html(tmp_path / "out #1.html")
    names = {"out #1.html", *(f"out #1-{name}.html" for name in ("curse-of-attention", "in-context", "samovar"))}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert (tmp_path / "out #1.html").read_text() == index
    assert '<a class="code" href="out%20%231-samovar.html#claim-gap">gap</a>' in index
    assert '<a href="out%20%231-in-context.html">Why In-context Cannot' in index
    for name in names - {"out #1.html"}:
        assert (tmp_path / name).read_text().count('<a href="out%20%231.html">') == 2


def test_without_a_file_the_index_stands_alone():
    page = Reproduction(samples.several()).to_html()
    assert page.count('<table class="claims">') == 2
    assert not [value for _, name, value in Page(page).attributes if name == "href"]
    assert "6 claims confirmed, 2 refuted, 2 uneven, 2 not testable here" in Page(page).text


def test_links_lead_somewhere(every):
    anchors = {name: {value for _, key, value in Page(page).attributes if key == "id"} for name, page in every.items()}
    for name, page in every.items():
        for tag, key, value in Page(page).attributes:
            if key in {"href", "src", "action", "srcset"}:
                assert tag == "a"
                file, _, anchor = value.partition("#")
                assert (file or name) in anchors
                assert not anchor or anchor in anchors[file or name]
        assert not re.search(r"@import|url\(|https?:", page)


def test_pages_are_well_formed_and_identifiers_unique(every):
    for page in every.values():
        parsed = Page(page)
        identifiers = [value for _, name, value in parsed.attributes if name == "id"]
        assert len(identifiers) == len(set(identifiers))
        assert parsed.tags.count("th") == sum(tag == "th" and name == "scope" for tag, name, _ in parsed.attributes)
        assert parsed.tags.count("h1") == 1


def test_only_our_script_may_run(every):
    for page in every.values():
        [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        [policy] = [value for tag, name, value in Page(page).attributes if tag == "meta" and "default-src" in value]
        assert f"script-src 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy


def test_hostile_texts_are_texts_and_files_stay_where_they_are(tmp_path):
    folder = tmp_path / "out"
    data = samples.hostile()
    data["papers"][0]["name"] = "../../escape"
    data["papers"][1]["name"] = "..\\..\\ESCAPE"
    Reproduction(data).to_html(folder / "all.html")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in folder.iterdir()) == ["all-ESCAPE-2.html", "all-escape.html", "all.html"]
    for path in folder.iterdir():
        page = Page(path.read_text())
        assert page.tags.count("script") == page.tags.count("style") == 1
        assert not [name for _, name, _ in page.attributes if name.startswith("on")]
        assert "</style></script><script>alert('x')</script>\"'&|`*_[a](b)]]>" in page.text
        assert "\x07" not in path.read_text()
        assert "None" not in page.text
        assert "nan" not in page.text.split()


def test_a_claim_has_all_that_is_known_of_it():
    page = Reproduction(samples.one()).to_html()
    part = section(page, "claim-gap")
    said = Page(part + "</section>").text
    claim = samples.claim("gap")
    order = [claim["title"], claim["where"], claim["rule"], claim["found"], "published", "ours", claim["quantity"]]
    order += ["Gap by context", "Score over training", "numbers"]
    assert [said.index(each) for each in order] == sorted(said.index(each) for each in order)
    assert '<span class="interval">[-1.040, -1.002]</span>' in part
    assert '<span class="badge o-confirmed">' in part
    assert part.count("<figure") == 2
    assert part.count("<details") == 1
    assert re.search(r'<th scope="row">10</th><td class="right">0\.1230</td><td class="right">0\.1200</td>', part)


def test_a_claim_that_is_not_tested_says_why_and_no_more():
    part = section(Reproduction(samples.one()).to_html(), "claim-large")
    assert "It needs a GPU." in part
    for absent in ("<dl", "<details", "<figure", "Rule."):
        assert absent not in part


def test_the_overview_counts_and_lists_all_claims():
    page = Reproduction(samples.one()).to_html()
    overview = page[page.index('<section id="overview">') :].split("</section>")[0]
    assert re.findall(r'<span class="big">(\d+)</span>', overview) == ["3", "1", "1", "1"]
    assert re.findall(r'href="#claim-(\w+)"', overview) == ["gap", "E2", "depth", "large", "unnumbered", "long"]
    assert re.findall(r'class="chip o-([\w-]+)"', overview)[4:] == [
        *("confirmed", "refuted", "uneven", "not-testable-here", "confirmed", "confirmed")
    ]
    for note in samples.full()["notes"]:
        assert note in overview


@pytest.mark.parametrize("count", [8, 30])
def test_a_full_paper_is_small(count):
    x = list(range(1, 61))
    chart = curves("c", "x", "y", [curve(str(k), x, [k / i for i in x], x, x) for k in range(6)], "xy")
    rows = [[str(k), *([0.123456] * 8)] for k in range(100)]
    table = {"columns": [str(k) for k in range(9)], "rows": rows}
    claims = [samples.claim(f"E{k}", charts=[chart], table=table) for k in range(count)]
    page = Reproduction(samples.reproduction([samples.paper("x", claims)])).to_html()
    assert len(page.encode()) < (LIMIT if count < 20 else 2 * LIMIT)
    assert page.count("60 more rows are in the JSON report") == (count if count < 20 else 0)
    assert page.count("The numbers are in the JSON report") == (count if count > 20 else 0)


def test_a_notebook_shows_the_page_in_a_frame():
    page = Page(Reproduction(samples.several())._repr_html_())
    [frame] = [value for _, name, value in page.attributes if name == "srcdoc"]
    assert frame == Reproduction(samples.several()).to_html()
