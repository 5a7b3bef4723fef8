"""The house: imports go down the floors only, and importing the package or asking for help loads nothing heavy."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import forecheck

ROOT = Path(forecheck.__file__).parent
FLOORS = (
    {"errors", "files", "fingerprints", "processes", "sources", "__init__"},
    {"data", "nn", "evaluation"},
    {"training", "interventions", "theory"},
    {"forecasters"},
    {"trials"},
    {"checks", "anomaly"},
    {"papers"},
    {"reports"},
    {"verbs", "several"},
    {"cli"},
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
# The ground floor's folders do not see each other; `data` is what they all may be handed.
GROUND = {"nn": {"nn"}, "evaluation": {"evaluation"}, "data": {"data"}}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "forecheck":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else ["__init__"]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    inside = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if inside in ("testing", "__init__"):  # testing sees all; the package itself only hands on, lazily
        return
    for imported in imports(path):
        assert imported != "testing", f"{inside} imports testing"
        assert LEVEL[imported] <= LEVEL[inside], f"{inside} imports {imported}, which is above it"
        if inside in GROUND:
            assert imported in GROUND[inside] | FLOORS[0], f"{inside} imports {imported} on the same floor"


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {path: lines for path, lines in long.items() if lines > 420} == {}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import forecheck", ("torch", "pandas", "numpy", "scipy", "pyarrow")),
        ("import forecheck.cli.main", ("torch", "pandas", "scipy", "pyarrow", "statsmodels")),
        ("import forecheck.data.panel", ("torch", "pandas")),
    ],
)
def test_nothing_heavy_is_imported(code, heavy):
    script = f"import sys; {code}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in forecheck.__all__:
        assert getattr(forecheck, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = forecheck.nothing
