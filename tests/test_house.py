"""The house: imports go down the floors only, and importing the package or asking for help loads nothing heavy."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import forecheck

ROOT = Path(forecheck.__file__).parent
FLOORS = (
    {
        "cluster",
        "devices",
        "durations",
        "errors",
        "files",
        "fingerprints",
        "installed",
        "outputs",
        "processes",
        "progress",
        "sources",
        "__init__",
    },
    {"data", "nn", "statistics"},
    {"reports"},
    {"combination"},
    {"training", "attention"},
    {"sparsity"},
    {"forecasters", "peers"},
    {"probes"},
    {"trials"},
    {"forecasting"},
    {"auditing", "anomaly"},
    {"calibration"},
    {"papers"},
    {"verbs"},
    {"cli", "__main__"},
    {"integrations"},
)
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
# The ground floor's folders do not see each other; `data` is what they all may be handed.
GROUND = {"nn": {"nn"}, "statistics": {"statistics"}, "data": {"data"}}
INTO_PAPERS = {"papers", "verbs/reproduce.py", "cli/reproduce.py"}
NAMED = re.compile(r"forecheck((\.[a-z_]+)+)\.?")


def imports(path):
    """First names below the package of what a module imports, by a statement or by a name in a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "forecheck":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else ["__init__"]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (named := NAMED.fullmatch(node.value)):
            yield named[1].split(".")[1]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down(path):
    place = path.relative_to(ROOT)
    inside = place.parts[0].removesuffix(".py")
    if inside in ("testing", "__init__"):  # testing sees all; the package itself only hands on, lazily
        return
    for imported in imports(path):
        assert imported != "testing", f"{inside} imports testing"
        if place.name in ("named.py", "fingerprints.py"):  # they name code whose text counts, and import none of it
            continue
        assert LEVEL[imported] <= LEVEL[inside], f"{inside} imports {imported}, which is above it"
        if imported == "papers":
            assert INTO_PAPERS & {inside, place.as_posix()}, f"{place} imports papers"
        if inside in GROUND:
            assert imported in GROUND[inside] | FLOORS[0], f"{inside} imports {imported} on the same floor"


def test_files_are_short():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert {path: lines for path, lines in long.items() if lines > 400} == {}


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


SIMPLEST = """
import sys, pyarrow, forecheck as fc
fc.forecast(pyarrow.table({"y": [float(i % 7) for i in range(90)]}), horizon=3, model="last", workers=0)
print(sorted({name.split(".")[1] for name in sys.modules if name.startswith("forecheck.")}))
print(sum(name.startswith("forecheck") for name in sys.modules))
"""


def test_the_last_value_loads_neither_checks_nor_papers_nor_reports_nor_attention(tmp_path):
    done = subprocess.run([sys.executable, "-c", SIMPLEST], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(ast.literal_eval(done.stdout.splitlines()[0]))
    assert not loaded & {"auditing", "calibration", "papers", "reports", "attention", "probes"}


def test_every_public_name_is_there():
    for name in forecheck.__all__:
        assert getattr(forecheck, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = forecheck.nothing


TWICE = """
import pyarrow, forecheck as fc
table = pyarrow.table({"y": [float(i % 7) for i in range(90)]})
for _ in range(2):
    assert fc.checks() and fc.models() and fc.datasets()
    panel = fc.load(table)
    made = fc.forecast(panel, horizon=3, model="nlinear", lookback=7, level=[80], workers=0)
    fitted = fc.fit(panel, horizon=3, model="last", workers=0)
    report = fc.backtest(panel, ["last", "nlinear"], horizon=3, lookback=7, workers=0)
    shown = [repr(each) for each in (made, fitted, report, panel, report.verdict)]
    assert all(len(each) < 500 for each in shown), shown
    assert all("<" in each._repr_html_() for each in (made, fitted, report))
    for name in fc.__all__:
        getattr(fc, name)
print(*shown, sep="\\n")
"""


def test_every_verb_can_be_called_twice_and_what_it_gives_is_shown_in_a_line():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "<Forecast nlinear: 1 series, 3 steps" in done.stdout
    assert "<Fitted last: " in done.stdout


def test_no_public_name_is_a_package_once_all_are_loaded():
    """A function that shares its name with a package is gone as soon as something imports from the package."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {path.stem for path in ROOT.glob("*.py")}
    assert not folders & set(forecheck.__all__)
