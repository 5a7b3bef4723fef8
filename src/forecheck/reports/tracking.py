"""A report as a run of MLflow: what was asked, what was found, and the report itself as files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from forecheck.errors import UsageError, WriteError, printable

_KEY = re.compile(r"[^\w .:/-]", re.ASCII)
_LONGEST, _MOST = 250, 100
_ASKED = ("data", "series", "channels", "rows", "frequency", "lookback", "horizon", "step", "split", "fingerprint")


def open_client(uri: str) -> Any:
    """A client of a tracking server, which has answered; asked before the work that is to be logged there.

    Args:
        uri: of the server (`http://localhost:5000`), a database (`sqlite:///runs.db`) or a folder.

    Raises:
        UsageError: if MLflow is not installed, or there is no such server.
    """
    # No waiting for minutes where nobody answers, and nothing is sent to others.
    for name, value in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"), ("MLFLOW_DISABLE_TELEMETRY", "true")):
        os.environ.setdefault(name, value)
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise UsageError("MLflow is not installed", "pip install 'forecheck[mlflow]'") from error
    try:
        client = MlflowClient(tracking_uri=uri)
        client.search_experiments(max_results=1)
    except Exception as error:  # of requests, SQL and MLflow
        raise UsageError(f"no MLflow server answers at {_shown(uri)}: {_first_line(error, uri)}", _REMEDY) from error
    return client


def log_report(
    data: Mapping[str, Any], verdict: Mapping[str, Any], files: Mapping[str, str], uri: str, experiment: str
) -> str:
    """Log a report as a run.

    Args:
        data: the report.
        verdict: of it.
        files: by name, the forms in which it is saved beside the run.
        uri: see `open_client`.
        experiment: is made if it is not there.

    Returns:
        The run's identifier.

    Raises:
        UsageError: as `open_client`.
        WriteError: if the server refuses.
    """
    client = open_client(uri)
    from mlflow.entities import Metric, Param, RunTag

    protocol = data.get("protocol") or {}
    params = [Param(key, str(value)[:_LONGEST]) for key, value in _asked(data, protocol)]
    metrics = [Metric(_key(key), float(value), 0, 0) for key, value in _found(data, verdict)][:_MOST]
    said = {"mlflow.note.content": str(verdict.get("sentence") or ""), "forecheck": str(data.get("forecheck") or "")}
    said |= {name: str(verdict[name]) for name in ("outcome", "worth") if verdict.get(name)}
    tags = [RunTag(key, printable(value)[:5000]) for key, value in said.items()]
    try:
        known = client.get_experiment_by_name(experiment)
        place = client.create_experiment(experiment) if known is None else known.experiment_id
        run = client.create_run(place, run_name=f"{data['kind']} {protocol.get('data', '')}"[:_LONGEST].strip())
        identifier = str(run.info.run_id)
        client.log_batch(identifier, metrics, params, tags)
        for name, text in files.items():
            client.log_text(identifier, text, name)
        client.set_terminated(identifier)
    except Exception as error:
        what = f"cannot log the report to MLflow at {_shown(uri)}: {_first_line(error, uri)}"
        raise WriteError(what, "What was finished is saved: the same command makes the same report at once.") from error
    return identifier


_REMEDY = "Start one (mlflow server --port 5000), or name it with --mlflow http://localhost:5000."


def _asked(data: Mapping[str, Any], protocol: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "kind", data["kind"]
    for name in _ASKED:
        value = protocol.get(name)
        if value is not None:
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else value


def _found(data: Mapping[str, Any], verdict: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Numbers by name: the effect with its interval, and losses of every model and arm."""
    for name, value in (("effect", verdict.get("effect")), ("margin", verdict.get("margin"))):
        if isinstance(value, (int, float)):
            yield name, value
    interval = verdict.get("interval")
    if isinstance(interval, list) and all(isinstance(each, (int, float)) for each in interval):
        yield from zip(("effect low", "effect high"), interval, strict=True)
    for row in [*(data.get("table") or []), *(data.get("arms") or [])]:
        of = row.get("model") or row.get("label")
        for name in ("mse", "mae"):
            if isinstance(row.get(name), (int, float)):
                yield f"{name} {of}", row[name]


def _key(name: str) -> str:
    """As MLflow takes names, which are paths as well."""
    return _KEY.sub("_", name).replace("/", "_").replace("..", "_")[:_LONGEST].strip()


def _shown(uri: str) -> str:
    """Without the password that may stand in it."""
    return _without_password(uri, uri)


def _first_line(error: Exception, uri: str) -> str:
    """What an error says, which may repeat the address."""
    return _without_password((str(error).splitlines() or [type(error).__name__])[0], uri)[:200]


def _without_password(text: str, uri: str) -> str:
    parts = urlsplit(uri)
    return text.replace(f"{parts.username}:{parts.password}@", "") if parts.password else text
