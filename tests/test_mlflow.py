"""Metrics go to MLflow where there is a service, and never cost the training."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Arguments
from tests.test_evaluate import metrics, scored
from tests.test_training import history, output_of

READ = """
import json, sys, mlflow
client = mlflow.MlflowClient()
(run,) = client.search_runs(["0"])
metrics = {k: [m.value for m in client.get_metric_history(run.info.run_id, k)]
           for k in run.data.metrics}
json.dump({"params": run.data.params, "metrics": metrics}, sys.stdout)
"""


def run(
    arguments: Arguments, module: str = "train_pytorch_model", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Train, or run another step, in a process of its own."""
    words = [str(w) for pair in arguments.items() for w in pair]
    command = [sys.executable, "-m", module, *words]
    env = {**os.environ, **environment}
    return subprocess.run(command, env=env, check=False, capture_output=True, text=True)


def read(environment: Mapping[str, str]) -> dict[str, Any]:
    """The parameters and metrics of the one run that was logged."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    logged: dict[str, Any] = json.loads(done.stdout)
    return logged


def test_every_epoch_is_logged(arguments: Arguments, tmp_path: Path) -> None:
    """With the parameters, under the names of ``history.csv``."""
    # Without a server, MLflow writes files; its newest versions ask whether that is meant.
    uri = (tmp_path / "mlruns").as_uri()
    environment = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
    done = run({**arguments, "--epochs": 2}, **environment)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    logged = read(environment)
    assert logged["params"]["batch_size"] == "4"
    rows = history(output_of(arguments))
    for name in ("learning_rate", "training_loss", "validation_loss", "validation_top1"):
        assert logged["metrics"][name] == pytest.approx([float(row[name]) for row in rows])


def test_a_run_that_goes_on_logs_each_epoch_once(arguments: Arguments, tmp_path: Path) -> None:
    """To the run of MLflow's that its variables name, as on Azure; or to a new one, all of them."""
    failing = (
        "import train_pytorch_model.train as t\n"
        "def write_history(*_): raise OSError(28, 'No space left on device')\n"
        "t.write_history = write_history\n"
    )
    uri = (tmp_path / "mlruns").as_uri()
    environment = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
    words = [str(w) for pair in {**arguments, "--epochs": 2}.items() for w in pair]
    script = f"{failing}import sys\nfrom train_pytorch_model.cli import main\nsys.exit(main())"
    stopped = subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, **environment},
        check=False,
        capture_output=True,
        text=True,
    )
    assert "what is trained is kept" in stopped.stderr
    (folder,) = (p.parent for p in (tmp_path / "mlruns").glob("*/*/meta.yaml"))
    done = run({**arguments, "--epochs": 2}, MLFLOW_RUN_ID=folder.name, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    rows = history(output_of(arguments))
    losses = [float(row["validation_loss"]) for row in rows]
    assert read(environment)["metrics"]["validation_loss"] == pytest.approx(losses)


def test_a_service_that_is_down_costs_a_warning(arguments: Arguments) -> None:
    """Nobody listens on the discard port."""
    done = run(arguments, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "metrics are not logged to MLflow" in warnings[0]
    assert (output_of(arguments) / "_meta.yaml").exists()


def babbling(client: socket.socket) -> None:
    """Answer with what is no answer of MLflow's."""
    client.recv(1 << 16)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html>\0")
    client.close()


def silent(client: socket.socket) -> None:
    """Take the question, and never answer."""
    client.recv(1 << 16)


@pytest.mark.parametrize("answer", [babbling, silent])
def test_a_service_that_gives_no_sense_costs_a_warning(
    arguments: Arguments, answer: Callable[[socket.socket], None]
) -> None:
    """Within half a minute after the training."""
    held: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # the test is over
                while True:
                    held.append(server.accept()[0])
                    answer(held[-1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        done = run(arguments, MLFLOW_TRACKING_URI=address)
        server.shutdown(socket.SHUT_RDWR)  # closing it would leave the thread in accept
    thread.join()
    for client in held:
        client.close()
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "MLflow" in warnings[0]
    assert (output_of(arguments) / "_meta.yaml").exists()


EVALUATE = "train_pytorch_model.companions.evaluate_image_model"


def test_an_evaluation_is_logged(tmp_path: Path) -> None:
    """Under the names of ``metrics.json``."""
    source = scored(tmp_path / "in", ["a", "b", "a"], ["a", "b", "b"])
    arguments: Arguments = {
        "--scored-dataset": source,
        "--evaluation-results": tmp_path / "out",
    }
    uri = (tmp_path / "mlruns").as_uri()
    environment = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_ALLOW_FILE_STORE": "true"}
    done = run(arguments, EVALUATE, **environment)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    logged = {name: values[0] for name, values in read(environment)["metrics"].items()}
    assert logged == pytest.approx(metrics(tmp_path / "out"))


def test_an_evaluation_survives_a_service_that_is_down(tmp_path: Path) -> None:
    """It warns."""
    source = scored(tmp_path / "in", ["a", "b"], ["a", "b"])
    arguments: Arguments = {
        "--scored-dataset": source,
        "--evaluation-results": tmp_path / "out",
    }
    done = run(arguments, EVALUATE, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert "metrics are not logged to MLflow" in done.stderr
    assert metrics(tmp_path / "out")["accuracy"] == 1.0
