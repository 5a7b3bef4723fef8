"""The site's navigation names every page of docs/ once, and no other."""

import pkgutil
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SITE = ROOT / "mkdocs.yml"


def named(entry):
    """The pages below an entry of the navigation: a page, a title with its page, or a title with its entries."""
    if isinstance(entry, str):
        yield entry
    else:
        for below in entry if isinstance(entry, list) else entry.values():
            yield from named(below)


def test_the_navigation_names_every_page():
    yaml = pytest.importorskip("yaml")
    pages = list(named(yaml.safe_load(SITE.read_text())["nav"]))
    assert len(pages) == len(set(pages))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert there - set(pages) == set(), "add the page to nav in mkdocs.yml"
    assert set(pages) - there == set(), "nav in mkdocs.yml names a page that is gone"


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda page: page.stem)
def test_the_reference_names_what_there_is(page):
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
        assert pkgutil.resolve_name(name) is not None
