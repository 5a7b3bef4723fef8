"""requirements.lock: the pins of constraints.txt with the SHA-256 of every file of each version: `make lock`.

uv asks the package index that it is configured with. On Linux one file of torch is allowed, the build for CPUs that pip
takes on this machine: PyPI's builds need gigabytes of libraries for GPUs, and if allowed, pip would prefer them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PYTHON = "3.11.5"  # the first that takes all pins
_HEADER = """\
# Made by `make lock` from constraints.txt; `make locked` installs it. On Linux pip has to find torch's build for CPUs:
# set PIP_EXTRA_INDEX_URL (an index that has it) or PIP_FIND_LINKS (a folder that holds it).
"""


def pins(constraints: str) -> list[str]:
    """Lines that pin a version; those that exclude some are not for installing."""
    return [line for line in constraints.splitlines() if re.match(r"[\w.-]+==", line)]


def locked(pinned: list[str]) -> str:
    """The pins as requirements with the hashes of all their files, for all platforms."""
    options = ["--universal", "--python-version", _PYTHON, "--no-deps", "--generate-hashes"]
    options += ["--no-annotate", "--no-header", "--quiet"]
    return _output(["uv", "pip", "compile", "-", *options], "\n".join(pinned))


def torch_for_cpus(pin: str) -> str:
    """SHA-256 of the build of torch for CPUs that pip takes on this machine."""
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", "-"]
    (found,) = json.loads(_output(["pip", "install", *options, pin]))["install"]
    if not (version := found["metadata"]["version"]).endswith("+cpu"):
        sys.exit(
            f"pip takes torch {version} here, and the lock has to hold the build for CPUs alone (+cpu).\n"
            "  Make the lock on Linux, with PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS naming where that build is."
        )
    return found["download_info"]["archive_info"]["hashes"]["sha256"]


def _output(tool: list[str], given: str | None = None) -> str:
    """What a tool of this environment prints; its errors go to the terminal."""
    done = subprocess.run([sys.executable, "-m", *tool], input=given, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(tool[:3])} failed (exit code {done.returncode}), so requirements.lock is left as it was.")
    return done.stdout


def main() -> None:
    """Write the lock."""
    pinned = pins((_ROOT / "constraints.txt").read_text())
    (torch,) = [each for each in pinned if each.startswith("torch==")]
    on_linux = f"{torch} ; sys_platform == 'linux' \\\n    --hash=sha256:{torch_for_cpus(torch)}\n"
    elsewhere = [f"{each}; sys_platform != 'linux'" if each == torch else each for each in pinned]
    (_ROOT / "requirements.lock").write_text(_HEADER + locked(elsewhere) + on_linux)


if __name__ == "__main__":
    main()
