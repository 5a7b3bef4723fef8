"""How long the program takes before it does anything, beside Python itself.

    python benchmarks/startup.py

Every command is run in turn, so many rounds; processor time of the whole process, the least of all rounds. Writes
benchmarks/results/startup.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
LAST = (
    "import pyarrow, forecheck as fc; table = pyarrow.table({'y': [float(i % 7) for i in range(90)]}); "
    "fc.forecast(table, horizon=3, model='last', workers=0)"
)
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import forecheck": ["-c", "import forecheck"],
    "forecheck --help": ["-m", "forecheck.cli.main", "--help"],
    "forecheck models": ["-m", "forecheck.cli.main", "models"],
    "forecheck datasets": ["-m", "forecheck.cli.main", "datasets"],
    "import torch": ["-c", "import torch"],
    "a forecast of the last value": ["-c", LAST],
}


def seconds(arguments: list[str]) -> float:
    """Processor time of one process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=os.environ)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    least = {name: min(seconds(arguments) for _ in range(rounds)) for name, arguments in COMMANDS.items()}
    base = least["python -c pass"]
    rows = [f"| {name} | {took:.3f} | {took / base:.1f} |" for name, took in least.items()]
    about = f"processor time, the least of {rounds} rounds; Python {platform.python_version()}, {os.cpu_count()} cores."
    page = [
        "# Start",
        "",
        f"`python benchmarks/startup.py`: {about}",
        "",
        "| command | seconds | times `python -c pass` |",
        "| --- | --- | --- |",
        *rows,
    ]
    (RESULTS / "startup.md").write_text("\n".join(page) + "\n")
    print("\n".join(page))


if __name__ == "__main__":
    main()
