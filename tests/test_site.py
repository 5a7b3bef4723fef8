"""The site of docs/ can be built: its navigation, its links and its reference are right."""

import inspect
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


def test_links_stay_within_the_pages():
    for page in (ROOT / "docs").rglob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            inside = "://" in target or (page.parent / target).resolve().is_relative_to(ROOT / "docs")
            assert inside, f"{page.name} links to {target}, which the site does not have: name it in backquotes"


def documented(thing):
    """Functions with docstrings that the reference shows for a name: the function, or a class and its methods."""
    for each in [thing, *(vars(thing).values() if inspect.isclass(thing) else ())]:
        if inspect.isfunction(each) and each.__doc__:
            yield each


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda page: page.stem)
def test_the_reference_documents_arguments_by_their_names(page):
    for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
        for function in documented(pkgutil.resolve_name(name)):
            section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", inspect.cleandoc(function.__doc__), re.MULTILINE)
            names = re.findall(r"^    ([^\s:][^:\n]*):", section[1], re.MULTILINE) if section else []
            unknown = {each.lstrip("*") for each in names} - set(inspect.signature(function).parameters)
            assert unknown == set(), f"{function.__qualname__} documents arguments that it does not have"
