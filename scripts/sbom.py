"""A software bill of materials of this environment, CycloneDX 1.6: `make sbom`, or `python scripts/sbom.py -o FILE`.

Every installed distribution with its version, licence, package URL and checksum of its RECORD (which holds the checksum
of every file), and what depends on what.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import uuid
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from forecheck.installed import requirements

_URL = re.compile(r"https?://\S+")


def bill(name: str = "forecheck") -> dict[str, Any]:
    """The bill, whose subject is an installed distribution."""
    found = {_plain(each.metadata["Name"]): each for each in metadata.distributions() if each.metadata["Name"]}
    if name not in found:
        sys.exit(f"{name} is not installed in this environment: pip install -e .")
    parts = {key: _component(each) for key, each in sorted(found.items())}
    subject = parts.pop(name)
    needs = [{"ref": _ref(found[key]), "dependsOn": _needed(key, found)} for key in sorted(found)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "component": subject | {"type": "application"},
        },
        "components": list(parts.values()),
        "dependencies": needs,
    }


def _component(each: metadata.Distribution) -> dict[str, Any]:
    ref = _ref(each)
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": each.metadata["Name"],
        "version": each.version,
        "purl": ref,
    }
    if said := each.metadata.get("License-Expression"):
        made["licenses"] = [{"expression": said}]
    elif said := _classified(each) or (each.metadata.get("License") or "").split("\n")[0][:100].strip():
        made["licenses"] = [{"license": {"name": said}}]
    if (record := each.read_text("RECORD")) is not None:
        made["properties"] = [{"name": "RECORD:sha256", "value": hashlib.sha256(record.encode()).hexdigest()}]
    links = [_URL.search(line) for line in each.metadata.get_all("Project-URL") or []]
    if links and links[0] is not None:
        made["externalReferences"] = [{"type": "website", "url": links[0][0]}]
    return made


def _classified(each: metadata.Distribution) -> str:
    named = [line for line in each.metadata.get_all("Classifier") or [] if line.startswith("License :: ")]
    return named[0].rpartition(" :: ")[2] if named else ""


def _needed(key: str, found: dict[str, metadata.Distribution]) -> list[str]:
    """What is installed of what a distribution needs, with its extras."""
    names = {_plain(each.name) for each in requirements(found[key].metadata["Name"])}
    return sorted(_ref(found[name]) for name in names if name in found and name != key)


def _ref(each: metadata.Distribution) -> str:
    return f"pkg:pypi/{_plain(each.metadata['Name'])}@{each.version}"


def _plain(name: str) -> str:
    """As the index has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the bill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    text = json.dumps(bill(), indent=1) + "\n"
    if given.output is None:
        sys.stdout.write(text)
    else:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
