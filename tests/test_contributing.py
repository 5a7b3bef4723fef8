"""CONTRIBUTING.md works to the letter: every section is followed in a copy of the source, and what it shows is run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
SECTIONS = dict(re.findall(r"^## (An? .+)\n((?:(?!^## ).*\n)+)", PAGE, re.MULTILINE))
BLOCK = re.compile(r"^```(python|diff)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def change(block, folder):
    """Apply a diff without line numbers: its old lines, which may end within a line, stand in the file once."""
    head, *lines = block.splitlines()
    path = folder / head.removeprefix("--- ")
    old, new = ("\n".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    text = path.read_text()
    assert text.count(old) == 1, f"{head} does not hold once:\n{old}"
    path.write_text(text.replace(old, new))


def follow(section, folder):
    """Write and change files as the section says; the code that is left."""
    shown = []
    for language, block in BLOCK.findall(section):
        if language == "diff":
            change(block, folder)
        elif named := re.match(r"# (src/\S+)\n", block):
            (folder / named[1]).parent.mkdir(exist_ok=True)
            (folder / named[1]).write_text(block.removeprefix(named[0]))
        else:
            shown.append(block)
    return "\n".join(shown)


def test_the_page_has_a_section_for_everything_that_is_added():
    assert sorted(SECTIONS) == ["A check", "A claim", "A file format", "A forecaster", "An adapter"]


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_can_be_followed(title, tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    code = follow(SECTIONS[title], tmp_path)
    assert code, "nothing shows that it works"
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_what_the_page_adds_passes_the_linter(tmp_path):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for section in SECTIONS.values():
        follow(section, tmp_path)
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.is_file():
        pytest.skip("ruff is not installed")
    done = subprocess.run([ruff, "check", "src"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
