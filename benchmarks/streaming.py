"""Streams of many series: time by the number of rows, and peak memory, beside the fit in memory where both fit.

    python benchmarks/streaming.py [--series 1000,3000,10000,30000,100000] [--memory 3000] [--folder DIR]

Writes benchmarks/results/streaming.md. Series of 500 days are made in DIR (1 GB for 100 000 and what is below). Every
size is run in a process of its own, once: fit, intervals and forecasts of 24 steps, one thread. Times are CPU seconds
from the call on, imports excluded; memory is the largest resident set of the whole process, imports included. The
exponent is the slope of log time over log rows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forecheck.files import replace_file

RESULTS = Path(__file__).parent / "results"
LENGTH, PER_FILE = 500, 2000
RUN = """
import json, resource, sys, time
from pathlib import Path
import forecheck as fc
from forecheck.forecasting.streaming.run import run_stream
data, out, memory, workers = sys.argv[1], sys.argv[2], sys.argv[3] == "memory", 2 * (sys.argv[3] == "workers")
wall, cpu = time.perf_counter(), time.process_time()
if memory:
    import pyarrow.parquet as pq
    made = fc.forecast(pq.read_table(data), horizon=24, model="nlinear", level=80, workers=0, store=Path(out))
    made.write(out + "/forecast.parquet")
else:
    made = fc.stream(data, horizon=24, output=out, level=80, workers=workers)
told = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
told |= {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "lookback": made.info["lookback"]}
print(json.dumps(told))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", default="1000,3000,10000,30000,100000")
    parser.add_argument("--memory", type=int, default=3000, help="largest size that is also fitted in memory")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.series.split(",")]
    rows = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as place:
        for size in sizes:
            data = Path(place, f"panel-{size}")
            write_panel(data, size)
            told = measure(data, Path(place, f"stream-{size}"), "stream")
            beside = measure(data, Path(place, f"memory-{size}"), "memory") if size <= arguments.memory else None
            rows.append((size, told, beside))
            print(size, told, beside, flush=True)
        shared = measure(data, Path(place, "workers"), "workers")
        print("two workers", shared, flush=True)
    count = [size * LENGTH for size in sizes]
    slope = float(np.polyfit(np.log(count), np.log([told["cpu"] for _, told, _ in rows]), 1)[0])
    replace_file(RESULTS / "streaming.md", lambda part: _write(part, page_of(rows, slope, arguments.series, shared)))
    print((RESULTS / "streaming.md").read_text())


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def page_of(
    rows: list[tuple[int, dict[str, float], dict[str, float] | None]],
    slope: float,
    series: str,
    shared: dict[str, float],
) -> str:
    lines = ""
    for size, told, beside in rows:
        small = f"{beside['cpu']:.1f} | {beside['peak'] / 1e9:.2f}" if beside else "- | -"
        speed = size * LENGTH / told["cpu"]
        lines += (
            f"| {size:,} | {size * LENGTH:,} | {told['cpu']:.1f} | {told['wall']:.1f} | {speed:,.0f} | "
            f"{told['peak'] / 1e9:.2f} | {small} |\n"
        )
    return f"""# Streams of many series

`python benchmarks/streaming.py --series {series}` on {cpu()}, one thread; Python {platform.python_version()}, numpy
{np.__version__}, pyarrow {pa.__version__}; load average {os.getloadavg()[0]:.1f} at the end.

nlinear with an 80 % interval, lookback {rows[-1][1]["lookback"]}, horizon 24, series of {LENGTH} days. The names are
read once, all else in five passes: stamps, lookback, Gram matrices, residuals, forecasts. By the clock {rows[-1][0]:,}
series took {rows[-1][1]["wall"]:.0f} s in one process and {shared["wall"]:.0f} s in two worker processes. CPU time
grows with the **{slope:.2f}** power of the rows.

| series | rows | CPU (s) | wall (s) | rows a CPU second | peak (GB) | in memory: CPU (s) | peak (GB) |
|---|---|---|---|---|---|---|---|
{lines}"""


def write_panel(folder: Path, series: int) -> None:
    """Series of a weekly season, a random walk and noise, in files of some thousands."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    steps = np.arange(LENGTH)
    stamps = np.datetime64("2020-01-01", "us") + steps.astype("timedelta64[D]")
    for first in range(0, series, PER_FILE):
        count = min(PER_FILE, series - first)
        season = np.sin(2 * np.pi * (steps + rng.integers(0, 7, (count, 1))) / 7) * rng.uniform(1, 5, (count, 1))
        walk = 0.3 * rng.normal(size=(count, LENGTH)).cumsum(axis=1)
        y = 50 + 5 * rng.normal(size=(count, 1)) + season + walk + rng.normal(size=(count, LENGTH))
        names = pa.array([f"series-{first + each:07d}" for each in range(count)])
        ids = pa.DictionaryArray.from_arrays(np.repeat(np.arange(count, dtype=np.int32), LENGTH), names)
        table = pa.table({"unique_id": ids.cast(pa.string()), "ds": np.tile(stamps, count), "y": y.reshape(-1)})
        pq.write_table(table, folder / f"part-{first // PER_FILE:05d}.parquet")


def measure(data: Path, out: Path, how: str) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, "-c", RUN, str(data), str(out), how]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def cpu() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
