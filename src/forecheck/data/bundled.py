"""The sets that come with the package: small public-domain series, one CSV file each in `sets/`."""

from __future__ import annotations

from importlib.resources import files


def content(name: str) -> bytes:
    """The file of the set called `name`; `sets/README.md` states sources and licences."""
    return (files("forecheck.data") / "sets" / f"{name}.csv").read_bytes()
