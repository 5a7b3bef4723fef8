"""The program, run in this process, and files for it."""

import sys
from dataclasses import dataclass

import pytest

from forecheck.cli import main
from panels import hourly, ragged


@dataclass(frozen=True)
class Done:
    """What a run of the program left."""

    code: int
    out: str
    err: str


@pytest.fixture
def forecheck(monkeypatch, capsys, tmp_path):
    """Run a command line in the test's folder, without worker processes: exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["forecheck", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run()
        streams = capsys.readouterr()
        assert "Traceback" not in streams.err
        return Done(ended.value.code or 0, streams.out, streams.err)

    return run


def write_csv(path, panel, series=False):
    """A wide file of one series, or a long one."""
    names = [["unique_id"], ["ds", "y"]] if series else [[], ["date", *panel.channels]]
    lines = [",".join([*names[0], *names[1]])]
    for index, name in enumerate(panel.series):
        rows = panel.series_rows(index)
        for stamp, values in zip(panel.time[rows], panel.values[rows], strict=True):
            lines.append(",".join([*([name] if series else []), str(stamp), *map(repr, values.tolist())]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def waves(tmp_path):
    """A wide CSV: 400 hours of two channels."""
    return write_csv(tmp_path / "waves.csv", hourly(400))


@pytest.fixture
def stores(tmp_path):
    """A long CSV: three daily series."""
    return write_csv(tmp_path / "stores.csv", ragged(), series=True)
