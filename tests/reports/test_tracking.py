"""Reports as runs of MLflow: against a real server with a SQL database, where MLflow is installed."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings

import pytest

from forecheck.errors import UsageError
from forecheck.reports import tracking
from forecheck.reports.report import Report


def free_port():
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A tracking server with an SQLite database."""
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    stored = ["--backend-store-uri", f"sqlite:///{folder}/runs.db", "--artifacts-destination", str(folder / "files")]
    command = [sys.executable, "-m", "mlflow", "server", *stored, "--host", "127.0.0.1", "--port", str(port)]
    quiet = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(
        [*command, "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=quiet,
        cwd=folder,
        start_new_session=True,
    )
    uri, end = f"http://127.0.0.1:{port}", time.monotonic() + 120
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{uri}/health", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, "the server ended"
            time.sleep(0.2)
    yield uri
    os.killpg(process.pid, signal.SIGKILL)  # with all that it started
    process.wait()


@pytest.fixture
def client(server):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own imports
        yield tracking.open_client(server)


@pytest.mark.parametrize("kind", ["audit", "backtest"])
def test_a_report_becomes_a_run(kind, client, server, request, tmp_path):
    data = request.getfixturevalue(kind)
    identifier = Report(data).to_mlflow(server, experiment=f"tests of {kind}")
    run = client.get_run(identifier)
    assert run.info.status == "FINISHED"
    assert run.data.params["kind"] == kind
    assert run.data.params["lookback"] == str(data["protocol"]["lookback"])
    assert run.data.tags["mlflow.note.content"] == str(Report(data).verdict["sentence"])
    row = (data["arms"] if kind == "audit" else data["table"])[0]
    assert run.data.metrics[f"mse {row.get('model') or row['label']}"] == pytest.approx(row["mse"])
    assert {each.path for each in client.list_artifacts(identifier)} == {"report.json", "report.html"}
    kept = client.download_artifacts(identifier, "report.json", str(tmp_path))
    with open(kept, encoding="utf-8") as file:  # noqa: PTH123
        assert Report(json.load(file)).to_dict() == Report(data).to_dict()
    Report(data).to_mlflow(server, experiment=f"tests of {kind}")  # into the same experiment


def test_hostile_names_are_logged_as_far_as_they_can_be(client, server, backtest):
    names = ["../../x", "a/b?\x1b[31m", "<script>", "n" * 500]
    table = [{**backtest["table"][0], "model": name} for name in names]
    identifier = Report({**backtest, "table": table}).to_mlflow(server)
    metrics = client.get_run(identifier).data.metrics
    assert {"mse ____x", "mse a_b___31m", "mse _script_"} <= set(metrics)


def test_without_mlflow_it_is_said_how_to_get_it(monkeypatch, backtest):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(UsageError, match=r"MLflow is not installed\n  pip install 'forecheck\[mlflow\]'"):
        Report(backtest).to_mlflow("http://localhost:1")


def test_where_no_server_answers_it_is_said_without_the_password(client):
    with pytest.raises(UsageError, match="no MLflow server answers at http:") as caught:
        tracking.open_client("http://somebody:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)
