"""Check what would be published: `python scripts/check_wheel.py dist`, after `python -m build`.

The wheel holds every file of the package, and the sdist what a build needs. In a new environment that has the wheel and
the dependencies of the running interpreter, but not what only tests need, the program audits a file.
"""

from __future__ import annotations

import math
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = ("--folds", "1", "--workers", "0", "--set", "patchtst.epochs=1", "--select", "FC201")
AUDIT = ("audit", "data.csv", "--lookback", "24", "--horizon", "6", *SMALL)
FORECAST = ("forecast", "nile", "--model", "last", "--horizon", "3")
HIDE = """
from importlib.machinery import PathFinder

names = {"beartype", "chronos", "neuralforecast", "pandas", "polars", "statsmodels", "transformers"}
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in names else find(name, *rest)
"""


def only(folder: Path, pattern: str) -> Path:
    """The one file of this pattern."""
    (found,) = folder.glob(pattern)
    return found


def check_contents(wheel: Path, sdist: Path) -> None:
    """Nothing of the package is missing: templates, sets and the mark of types included."""
    files = [path for path in (ROOT / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    names = {path.relative_to(ROOT / "src").as_posix() for path in files}
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    assert names <= packed, f"the wheel lacks {sorted(names - packed)}"
    foreign = [name for name in packed if not name.startswith(("forecheck/", "forecheck-"))]
    assert not foreign, f"the wheel holds {foreign}"
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    needed = {f"src/{name}" for name in names} | {"LICENSE", "README.md", "pyproject.toml"}
    assert needed <= packed, f"the sdist lacks {sorted(needed - packed)}"


def check_installed(wheel: Path, folder: Path) -> None:
    """In an environment with the wheel and its dependencies alone the program runs."""
    here = folder / "venv"
    venv.create(here)
    python = here / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, wheel.resolve()], check=True)
    # The dependencies are those of the running environment. Lines of .pth files there are not read, so an editable
    # install of the package is not seen. What only tests need is hidden.
    site = Path(sysconfig.get_path("purelib", vars={"base": str(here)}))
    (site / "hidden.py").write_text(HIDE)
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\nimport hidden\n")
    rows = [f"{index},{math.sin(index / 2) + index % 7}" for index in range(400)]
    (folder / "data.csv").write_text("\n".join(["step,y", *rows]) + "\n")
    run(folder, python, "-c", f"import forecheck; assert forecheck.__file__.startswith({str(site)!r})")
    run(folder, here / "bin" / "forecheck", *AUDIT, "--html", "audit.html")
    run(folder, here / "bin" / "forecheck", *FORECAST)
    assert "FC201" in (folder / "audit.html").read_text(encoding="utf-8")


def run(folder: Path, *command: str | Path) -> None:
    """Run a command there without this process's environment; if it fails, show what it said."""
    environment = {"HOME": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, text=True, capture_output=True)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}"


if __name__ == "__main__":
    dist = Path(sys.argv[1])
    check_contents(only(dist, "*.whl"), only(dist, "*.tar.gz"))
    with tempfile.TemporaryDirectory() as temporary:
        check_installed(only(dist, "*.whl"), Path(temporary))
    print(f"checked {', '.join(path.name for path in sorted(dist.iterdir()))}")
