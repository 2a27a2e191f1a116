"""Who is told of a run: its user, and a metrics service where there is one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor

from train_pytorch_model.report.console import EpochTable
from train_pytorch_model.report.metrics import EpochMetrics, MetricSink
from train_pytorch_model.report.mlflow_service import MlflowService


class Several:
    """A metric sink that passes everything on to others."""

    def __init__(self, sinks: Sequence[MetricSink]) -> None:
        self._sinks = sinks

    def batch(self, images: int, loss: Tensor) -> None:
        """Tell each."""
        for sink in self._sinks:
            sink.batch(images, loss)

    def epoch(self, metrics: EpochMetrics) -> None:
        """Tell each."""
        for sink in self._sinks:
            sink.epoch(metrics)


@contextmanager
def open_sinks(
    table: EpochTable,
    parameters: Mapping[str, object],
    has_service: bool,
    before: Sequence[EpochMetrics] = (),
) -> Iterator[MetricSink]:
    """The sinks of a run, for as long as it lasts.

    Args:
        table: the table on the console.
        parameters: what the service notes beside the metrics.
        has_service: whether MLflow is to be told.
        before: the epochs of the same run that were over before it was stopped.
    """
    if not has_service:
        yield table
        return
    service = MlflowService(parameters, tuple(before))
    try:
        yield Several((table, service))
    except Exception:
        service.close("FAILED")
        raise
    except BaseException:  # a signal, which leaves seconds
        service.close("KILLED", patience_s=2)
        raise
    service.close("FINISHED")
