"""Metrics → MLflow, which is Azure Machine Learning's metrics service in a job."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from train_pytorch_model.errors import shortened
from train_pytorch_model.report.console import warn
from train_pytorch_model.report.metrics import EpochMetrics

if TYPE_CHECKING:  # steps that train nothing start without torch or MLflow
    from mlflow import MlflowClient
    from torch import Tensor

PATIENCE_S = 30
"""Seconds that the end of a run waits for the service."""


class MlflowService:
    """A metric sink that logs each epoch from a thread of its own.

    The service may be slow, down, or not installed: training goes on, and a warning says so once.
    The run is the one that MLflow's environment variables name, else a new one.

    Args:
        parameters: are logged beside the metrics.
        before: the epochs that were over before the run was stopped; those that the service has
            are not logged again.
    """

    def __init__(
        self, parameters: Mapping[str, object], before: Sequence[EpochMetrics] = ()
    ) -> None:
        self._parameters = parameters
        self._before = before
        self._status = "FINISHED"
        self._epochs: SimpleQueue[EpochMetrics | None] = SimpleQueue()
        self._thread = Thread(target=self._send, name="mlflow", daemon=True)
        self._thread.start()

    def batch(self, images: int, loss: "Tensor") -> None:
        """Nothing: the service is told of epochs."""

    def epoch(self, metrics: EpochMetrics) -> None:
        """Log an epoch, some time soon."""
        self._epochs.put(metrics)

    def close(self, status: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until everything is logged, but not for long; ``status`` is the run's last."""
        self._status = status
        self._epochs.put(None)
        self._thread.join(patience_s)
        if self._thread.is_alive():
            warn(_silent("history.csv", patience_s))

    def _send(self) -> None:
        try:
            import mlflow  # takes seconds, and is there only where metrics are wanted

            run = mlflow.start_run().info.run_id
            mlflow.log_params({k: shortened(str(v)) for k, v in self._parameters.items()})
            logged = _logged(mlflow.MlflowClient(), run) if self._before else set()
            before = (metrics for metrics in self._before if metrics.epoch not in logged)
            for metrics in chain(before, iter(self._epochs.get, None)):
                values = {k: float(v) for k, v in asdict(metrics).items() if k != "epoch"}
                mlflow.log_metrics(values, step=metrics.epoch)
            mlflow.end_run(self._status)
        except Exception as error:  # whatever happens there must not cost the training
            warn(_failed(error, "history.csv"))


def _logged(client: "MlflowClient", run: str) -> set[int]:
    """The epochs that a run of MLflow has already."""
    if "validation_loss" not in client.get_run(run).data.metrics:
        return set()
    return {metric.step for metric in client.get_metric_history(run, "validation_loss")}


def log_once(metrics: Mapping[str, float], also_in: str) -> None:
    """Log metrics to the run that MLflow's environment variables name, else to a new one.

    The service may be slow, down, or not installed: a warning says so, and where they are too.
    """

    def send() -> None:
        try:
            import mlflow  # takes seconds, and is there only where metrics are wanted

            with mlflow.start_run():
                mlflow.log_metrics(dict(metrics))
        except Exception as error:  # whatever happens there must not cost the results
            warn(_failed(error, also_in))

    thread = Thread(target=send, name="mlflow", daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if thread.is_alive():
        warn(_silent(also_in))


def _silent(also_in: str, seconds: float = PATIENCE_S) -> str:
    return f"MLflow has not answered for {seconds} s; the metrics are in {also_in}."


def _failed(error: Exception, also_in: str) -> str:
    # Only the kind of error: its text may quote the service's address and credentials.
    return f"metrics are not logged to MLflow ({type(error).__name__}); they are in {also_in}."
