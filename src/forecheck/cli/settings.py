"""Settings of a project: `[tool.forecheck]` in its pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecheck.cli.options import read_names
from forecheck.errors import UsageError

_LISTS = ("select", "ignore", "remedy", "fail-on")


@dataclass(frozen=True)
class Settings:
    """What the project says of every audit.

    Attributes:
        select: codes of checks, or their beginnings.
        ignore: likewise.
        remedy: names of remedies.
        fail_on: outcomes that make the command fail.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    fail_on: tuple[str, ...] = ()

    def under(
        self,
        select: Sequence[str] | None,
        ignore: Sequence[str] | None,
        remedy: Sequence[str] | None,
        fail_on: Sequence[str] | None,
    ) -> Settings:
        """These settings with what the command line says instead, where it says anything.

        Args:
            select: values of `--select`, each one code or several separated by commas; None or empty if it was not
                used.
            ignore: values of `--ignore`, likewise.
            remedy: values of `--remedy`, likewise names.
            fail_on: values of `--fail-on`, an outcome each.

        Raises:
            UsageError: if a code or name is empty.
        """
        return Settings(
            _codes("--select", select) if select else self.select,
            _codes("--ignore", ignore) if ignore else self.ignore,
            _names("--remedy", remedy) if remedy else self.remedy,
            tuple(fail_on) if fail_on else self.fail_on,
        )


def _codes(option: str, texts: Sequence[str]) -> tuple[str, ...]:
    """`["FC3,FC401"]` as codes."""
    return tuple(name.upper() for name in _names(option, texts))


def _names(option: str, texts: Sequence[str]) -> tuple[str, ...]:
    """`["rope,sam"]` as names."""
    return tuple(read_names(option, *texts)) if texts else ()


def project_settings(folder: Path | None = None) -> Settings:
    """Settings of the nearest pyproject.toml above `folder` (the working folder) that has any.

    Raises:
        UsageError: if the file cannot be read, or a setting does not exist or is no list of texts.
    """
    folder = (folder or Path.cwd()).absolute()
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            tools = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"cannot read {file}: {error}") from error
        if not isinstance(tools, dict):
            raise UsageError(f"{file}: tool is no table", "Write the settings below [tool.forecheck].")
        if "forecheck" in tools:
            return _read(tools["forecheck"], file)
    return Settings()


def _read(table: Any, file: Path) -> Settings:
    if not isinstance(table, dict):
        raise UsageError(f"{file}: tool.forecheck is no table")
    for key, value in table.items():
        if key not in _LISTS:
            raise UsageError(f"{file}: tool.forecheck has no setting {key!r}", f"Known: {', '.join(_LISTS)}.")
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f'{file}: tool.forecheck.{key} is a list of texts, as in {key} = ["FC3"]')
    place = f"{file}: tool.forecheck."
    return Settings(
        _codes(f"{place}select", table.get("select", [])),
        _codes(f"{place}ignore", table.get("ignore", [])),
        _names(f"{place}remedy", table.get("remedy", [])),
        tuple(table.get("fail-on", [])),
    )
