"""What is installed beside forecheck: its dependencies and extras as the package itself declares them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata

STOLEN = {"lightning": ("2.6.2", "2.6.3"), "pytorch-lightning": ("2.6.2", "2.6.3")}
"""Releases that thieves of credentials published, on 30 April 2026; who has one has more to do than to remove it."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.*))?")
_EXTRA = re.compile(r"extra == ['\"]([^'\"]+)['\"]")
_BOUND = re.compile(r"(>=|!=)\s*([\w.]+)")


@dataclass(frozen=True)
class Requirement:
    """A distribution that forecheck, or one of its extras, needs.

    Attributes:
        name: of the distribution.
        bounds: versions that it takes (`>=2.6`), as declared.
        extra: whose need it is; empty for forecheck itself.
    """

    name: str
    bounds: str
    extra: str = ""

    @property
    def version(self) -> str | None:
        """What is installed."""
        return version_of(self.name)

    @property
    def met(self) -> bool:
        """Whether a version within the bounds is installed."""
        return self.version is not None and within(self.version, self.bounds)


def requirements(name: str = "forecheck") -> list[Requirement]:
    """What an installed distribution declares that it needs; nothing of one that is not installed."""
    try:
        declared = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    return list(_read(declared))


def extras(required: list[Requirement]) -> Mapping[str, list[Requirement]]:
    """By extra, what it needs."""
    return {each.extra: [one for one in required if one.extra == each.extra] for each in required if each.extra}


def version_of(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def within(version: str, bounds: str) -> bool:
    """Whether a version is at least what `>=` says, and none that `!=` names; bounds of other kinds are not judged."""
    return all(
        _numbers(version) >= _numbers(bound) if sign == ">=" else version.partition("+")[0] != bound
        for sign, bound in _BOUND.findall(bounds)
    )


def _read(declared: list[str]) -> Iterator[Requirement]:
    for line in declared:
        found = _REQUIREMENT.fullmatch(line)
        if found is not None:
            extra = _EXTRA.search(found[3] or "")
            yield Requirement(found[1].lower(), found[2].strip("() "), extra[1] if extra else "")


def _numbers(version: str) -> tuple[int, ...]:
    """`2.13.0+cpu` as (2, 13, 0), up to the first part that is no number."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    found = [int(each) for each in numbers[0].split(".")] if numbers else []
    while found and found[-1] == 0:  # 2.0 is 2
        found.pop()
    return tuple(found)
