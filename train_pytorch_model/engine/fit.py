"""The epoch loop: batches → the weights of the best epoch."""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timezone

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from train_pytorch_model.data.batches import TrainingBatches, ValidationBatches
from train_pytorch_model.engine.checkpoints import Checkpoints
from train_pytorch_model.engine.early_stopping import EarlyStopping, is_better
from train_pytorch_model.engine.optimizer import SGD
from train_pytorch_model.engine.schedule import learning_rate
from train_pytorch_model.engine.state import TrainState
from train_pytorch_model.engine.sums import Sums
from train_pytorch_model.errors import DivergedError
from train_pytorch_model.params import TrainingParams, seed_of_64_bits
from train_pytorch_model.report.metrics import EpochMetrics, MetricSink

FLOAT32 = nullcontext()
"""The precision of a network that nothing is said about."""


@dataclass(frozen=True)
class Fit:
    """What training gives.

    Attributes:
        history: one entry an epoch that was run; exactly one is ``best``.
        stopped_because: why there is no further epoch, for people.
        ended: when the last one was over, in UTC.
    """

    history: tuple[EpochMetrics, ...]
    stopped_because: str
    ended: datetime

    @property
    def best(self) -> EpochMetrics:
        """The epoch whose weights the network has."""
        return next(metrics for metrics in self.history if metrics.best)


def new_state(net: nn.Module, params: TrainingParams) -> TrainState:
    """The state of a run that begins; it seeds what the network drops out."""
    torch.manual_seed(seed_of_64_bits(params.random_seed))
    return TrainState(net, SGD(net, params.learning_rate), EarlyStopping(params.patience))


def fit(
    state: TrainState,
    training: TrainingBatches,
    validation: ValidationBatches,
    params: TrainingParams,
    sink: MetricSink,
    checkpoints: Checkpoints,
    warmup_epochs: int = 0,
    precision: AbstractContextManager[object] = FLOAT32,
) -> Fit:
    """Train from where ``state`` is; its network ends with the weights of the best epoch.

    Args:
        state: of a run that begins, or of one that was stopped.
        training: the images to train on.
        validation: the images to choose the best epoch by.
        params: of the run.
        sink: is told of each batch and epoch.
        checkpoints: is told of each batch and epoch too, and keeps the state.
        warmup_epochs: how many epochs the learning rate rises.
        precision: a context in which the network computes while it trains; it is evaluated in
            float32.

    Raises:
        DivergedError: the training or the validation loss became infinite or not a number.
        TerminatedError: a signal has come.
    """
    if params.learning_rate > torch.finfo(torch.float32).max:
        _check_finite(math.inf, "training", 0, params)  # the first step would overflow
    stopped_because = _why_over(state, params)
    while not stopped_because:
        epoch = state.epoch
        rate = learning_rate(epoch, params.epochs, params.learning_rate, warmup_epochs)
        train_epoch(state, training, rate, sink, checkpoints, precision)
        training_loss, training_top1, _ = state.sums.means()  # which waits for the device
        if state.trained_s is None:  # else the run was stopped while it validated
            state.trained_s = time.perf_counter() - state.started
        _check_finite(training_loss, "training", epoch, params)
        validation_loss, top1, top5 = evaluate(state, validation, checkpoints)
        _check_finite(validation_loss, "validation", epoch, params)
        metrics = EpochMetrics(
            epoch=epoch + 1,
            learning_rate=rate,
            training_loss=training_loss,
            training_top1=training_top1,
            validation_loss=validation_loss,
            validation_top1=top1,
            validation_top5=top5,
            images_per_second=state.sums.images / state.trained_s,
            seconds=time.perf_counter() - state.started,
            best=is_better(validation_loss, state.best_loss),
        )
        state.end_epoch(metrics)
        sink.epoch(metrics)
        stopped_because = _why_over(state, params)
        if not stopped_because:
            checkpoints.epoch(state)
    ended = state.ended = state.ended or datetime.now(timezone.utc)
    checkpoints.finish(state)
    state.net.load_state_dict(state.best_weights)
    return Fit(tuple(state.history), stopped_because, ended)


def train_epoch(
    state: TrainState,
    batches: TrainingBatches,
    rate: float,
    sink: MetricSink,
    checkpoints: Checkpoints,
    precision: AbstractContextManager[object],
) -> None:
    """The training batches of the running epoch that are not done; see ``state.sums``."""
    state.optimizer.rate = rate
    state.net.train()
    for batch in batches.epoch(state.epoch, first=state.batches):
        logits, loss = train_step(state.net, state.optimizer, batch.images, batch.labels, precision)
        state.sums.add(logits, batch.labels, loss)
        state.batches = batch.number + 1
        sink.batch(len(batch.labels), loss)
        checkpoints.step(state)


def train_step(
    net: nn.Module,
    optimizer: SGD,
    images: Tensor,
    labels: Tensor,
    precision: AbstractContextManager[object] = FLOAT32,
) -> tuple[Tensor, Tensor]:
    """One step on images (b, 3, height, width) and labels (b,).

    Returns:
        The logits (b, classes) float32, and their mean cross-entropy, a scalar.
    """
    with precision:
        logits = net(images)
    logits = logits.float()
    loss = cross_entropy(logits, labels)
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    optimizer.step()
    return logits, loss


@torch.inference_mode()
def evaluate(
    state: TrainState, batches: ValidationBatches, checkpoints: Checkpoints
) -> tuple[float, float, float]:
    """One pass over the validation batches; mean loss, top-1 and top-5 accuracy."""
    state.net.eval()
    sums = Sums()
    for batch in batches:
        logits = state.net(batch.images)
        sums.add(logits, batch.labels, cross_entropy(logits, batch.labels))
        checkpoints.step(state)
    return sums.means()


def _why_over(state: TrainState, params: TrainingParams) -> str:
    """Why there is no further epoch; empty if there is one."""
    if state.epoch == params.epochs:
        return f"all {params.epochs} epochs are done"
    if state.stopping.waited >= params.patience:
        return f"the validation loss did not decrease in {params.patience} consecutive epochs"
    return ""


def _check_finite(loss: float, which: str, epoch: int, params: TrainingParams) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"learning_rate: the {which} loss became {loss} in epoch {epoch + 1} with a learning "
            f"rate of {params.learning_rate}, expected a finite number; choose a smaller rate, "
            f"such as {min(params.learning_rate / 10, 0.001):.3g}."
        )
