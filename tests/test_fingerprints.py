"""Fingerprints of code: followed through imports, and blind to what changes no result."""

import sys

import pytest

from forecheck import fingerprints, sources
from forecheck.fingerprints import fingerprint

A = '''"""What a is."""

NAMES = ("x",)

def f(name):
    """What f does."""
    from importlib import import_module

    from forecheck import b
    return import_module(f"forecheck.found.{name}"), b  # by name
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a file of a made-up package; its modules are read again."""
    monkeypatch.setattr(fingerprints, "_ROOT", tmp_path)
    (tmp_path / "forecheck" / "found").mkdir(parents=True)

    def write(path, text):
        (tmp_path / "forecheck" / path).write_text(text)
        fingerprints._module.cache_clear()

    for path, text in {
        "__init__.py": "",
        "a.py": A,
        "b.py": "import numpy\nimport forecheck\nfrom forecheck.c import c\n",
        "c.py": "c = 1\n",
        "d.py": "d = 1\n",
        "found/__init__.py": "",
        "found/x.py": "import forecheck.e\n",
        "e.py": "WORKER = 'forecheck.g'\n",
        "g.py": "g = 1\n",
    }.items():
        write(path, text)
    yield write
    fingerprints._module.cache_clear()


@pytest.mark.parametrize("path", ["a.py", "b.py", "c.py", "found/x.py", "found/y.py", "e.py", "g.py"])
def test_code_that_is_reached_counts(package, path):
    before = fingerprint("forecheck.a")
    package(path, "other = 2\n")
    assert fingerprint("forecheck.a") != before


@pytest.mark.parametrize("path", ["d.py", "__init__.py"])
def test_code_that_is_not_reached_does_not_count(package, path):
    before = fingerprint("forecheck.a")
    package(path, "from forecheck.d import d\n")
    assert fingerprint("forecheck.a") == before


@pytest.mark.parametrize(
    "text",
    [
        A.replace("What a is", "Said otherwise"),
        A.replace("What f does", "Said otherwise"),
        A.replace('    """What f does."""\n', ""),
        A.replace("by name", "by its name"),
        A.replace("\n\n", "\n\n\n\n"),
        A.replace('("x",)', '("x",)\n"""All names."""'),
    ],
)
def test_what_is_only_said_does_not_count(package, text):
    assert text != A
    before = fingerprint("forecheck.a")
    package("a.py", text)
    assert fingerprint("forecheck.a") == before


def test_a_string_that_is_a_value_counts(package):
    before = fingerprint("forecheck.a")
    package("a.py", A.replace('("x",)', '("z",)'))
    assert fingerprint("forecheck.a") != before


def test_what_is_left_out_is_not_followed(package):
    def left_out(*modules):
        return fingerprint("forecheck.a", *modules, without=["forecheck.found.", "forecheck.b"])

    before, with_x, with_b = left_out(), left_out("forecheck.found.x"), left_out("forecheck.b")
    package("found/y.py", "y = 1\n")
    package("e.py", "e = 2\n")
    assert left_out() == before
    assert left_out("forecheck.found.x") != with_x
    package("c.py", "c = 2\n")
    assert left_out() == before
    assert left_out("forecheck.b") != with_b


def test_versions_count(package, monkeypatch):
    before = fingerprint("forecheck.a")
    monkeypatch.setattr(fingerprints, "_versions", lambda: ("3.0", "2.4"))
    assert fingerprint("forecheck.a") != before


def test_of_other_peoples_modules_their_own_package_counts(package, tmp_path, monkeypatch):
    folder = tmp_path / "others_models"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "model.py").write_text("from . import layers\nfrom forecheck.errors import DataError\n")
    (folder / "layers.py").write_text("width = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    package("errors.py", "DataError = 1\n")
    import others_models.model

    name = others_models.model.__name__
    try:
        before = fingerprint(name)
        (folder / "layers.py").write_text("width = 2\n")
        package("errors.py", "DataError = 1\n")
        wider = fingerprint(name)
        assert wider != before
        package("errors.py", "DataError = 2\n")
        assert fingerprint(name) != wider
    finally:
        for each in [each for each in sys.modules if each.startswith("others_models")]:
            del sys.modules[each]


def test_what_was_read_is_kept_for_the_next_process(package, tmp_path, monkeypatch):
    place = tmp_path / "kept" / "sources.json"
    monkeypatch.setattr(sources, "_place", lambda: place)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    def next_process():
        sources._known.cache_clear()
        sources._fresh.clear()
        fingerprints._module.cache_clear()

    next_process()
    before = fingerprint("forecheck.a")
    assert place.exists()
    next_process()
    with monkeypatch.context() as patched:
        patched.setattr(sources, "_parsed", None)  # nothing is parsed
        assert fingerprint("forecheck.a") == before
    package("c.py", "c = 2\n")
    assert fingerprint("forecheck.a") != before  # and what was kept is found by contents
    for damage in ("{", "[]", '{"a": 1}', '{"a": {"b": 1}}'):
        place.write_text(damage)
        package("c.py", "c = 1\n")
        next_process()
        assert fingerprint("forecheck.a") == before
    sources._known.cache_clear()
