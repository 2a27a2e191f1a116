"""The epoch loop: batches → the weights of the best epoch."""

import inspect
import math
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from train_pytorch_model.data.batches import TrainingBatches, ValidationBatches
from train_pytorch_model.engine.early_stopping import EarlyStopping, is_better
from train_pytorch_model.engine.schedule import learning_rate
from train_pytorch_model.engine.sums import Sums
from train_pytorch_model.errors import DivergedError
from train_pytorch_model.params import TrainingParams, seed_of_64_bits
from train_pytorch_model.report.metrics import EpochMetrics, MetricSink

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4

FLOAT32 = nullcontext()
"""The precision of a network that nothing is said about."""


@dataclass(frozen=True)
class Fit:
    """What training gives.

    Attributes:
        history: one entry an epoch that was run; exactly one is ``best``.
        stopped_because: why there is no further epoch, for people.
    """

    history: tuple[EpochMetrics, ...]
    stopped_because: str

    @property
    def best(self) -> EpochMetrics:
        """The epoch whose weights the network has."""
        return next(metrics for metrics in self.history if metrics.best)


def fit(
    net: nn.Module,
    training: TrainingBatches,
    validation: ValidationBatches,
    params: TrainingParams,
    sink: MetricSink,
    warmup_epochs: int = 0,
    precision: AbstractContextManager[object] = FLOAT32,
) -> Fit:
    """Train ``net`` in place; it ends with the weights of the epoch of lowest validation loss.

    Args:
        net: the network, on the device.
        training: the images to train on.
        validation: those to choose the best epoch by.
        params: of the run.
        sink: is told of each batch and epoch.
        warmup_epochs: how many epochs the learning rate rises.
        precision: a context in which the network computes while it trains; it is evaluated in
            float32.

    Raises:
        DivergedError: the training or the validation loss became infinite or not a number.
    """
    optimizer = sgd(net, params.learning_rate)
    if params.learning_rate > torch.finfo(torch.float32).max:
        _check_finite(math.inf, "training", 0, params)  # the first step would overflow
    torch.manual_seed(seed_of_64_bits(params.random_seed))  # of what the network drops out
    stopping = EarlyStopping(params.patience)
    history: list[EpochMetrics] = []
    best_weights: Mapping[str, Tensor] = {}
    best_loss: float | None = None
    stopped_because = f"all {params.epochs} epochs are done"
    for epoch in range(params.epochs):
        started = time.perf_counter()
        rate = learning_rate(epoch, params.epochs, params.learning_rate, warmup_epochs)
        training_loss, training_top1, _ = train_epoch(
            net, training, epoch, rate, optimizer, sink, precision
        )
        trained = time.perf_counter()
        _check_finite(training_loss, "training", epoch, params)
        validation_loss, top1, top5 = evaluate(net, validation)
        _check_finite(validation_loss, "validation", epoch, params)
        better = is_better(validation_loss, best_loss)
        metrics = EpochMetrics(
            epoch=epoch + 1,
            learning_rate=rate,
            training_loss=training_loss,
            training_top1=training_top1,
            validation_loss=validation_loss,
            validation_top1=top1,
            validation_top5=top5,
            images_per_second=len(training) * training.batch_size / (trained - started),
            seconds=time.perf_counter() - started,
            best=better,
        )
        if better:
            best_loss, best_weights = validation_loss, _copy(net)
            history = [replace(past, best=False) for past in history]
        history.append(metrics)
        sink.epoch(metrics)
        if stopping.should_stop(validation_loss) and epoch + 1 < params.epochs:
            stopped_because = (
                f"the validation loss did not decrease in {params.patience} consecutive epochs"
            )
            break
    net.load_state_dict(best_weights)
    return Fit(tuple(history), stopped_because)


def train_epoch(
    net: nn.Module,
    batches: TrainingBatches,
    epoch: int,
    rate: float,
    optimizer: torch.optim.Optimizer,
    sink: MetricSink,
    precision: AbstractContextManager[object],
) -> tuple[float, float, float]:
    """One pass over the training batches; mean loss, top-1 and top-5 accuracy while training."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    net.train()
    sums = Sums()
    for batch in batches.epoch(epoch):
        logits, loss = train_step(net, optimizer, batch.images, batch.labels, precision)
        sums.add(logits, batch.labels, loss)
        sink.batch(len(batch.labels), loss)
    return sums.means()


class _SGD(torch.optim.SGD):
    """SGD that does not load ``torch.compile``, 2 s and 90 MB, only to be left alone by it."""

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.SGD.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


def sgd(net: nn.Module, rate: float) -> torch.optim.SGD:
    """SGD with Nesterov momentum 0.9 and weight decay 1e-4, as the original's."""
    return _SGD(
        net.parameters(),
        lr=rate,
        momentum=MOMENTUM,
        weight_decay=WEIGHT_DECAY,
        nesterov=True,
        fused=True,  # one pass over the weights instead of four
    )


def train_step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
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
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not type it
    optimizer.step()
    return logits, loss


@torch.inference_mode()
def evaluate(net: nn.Module, batches: ValidationBatches) -> tuple[float, float, float]:
    """One pass over the validation batches; mean loss, top-1 and top-5 accuracy."""
    net.eval()
    sums = Sums()
    for batch in batches:
        logits = net(batch.images)
        sums.add(logits, batch.labels, cross_entropy(logits, batch.labels))
    return sums.means()


def _check_finite(loss: float, which: str, epoch: int, params: TrainingParams) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"learning_rate: the {which} loss became {loss} in epoch {epoch + 1} with a learning "
            f"rate of {params.learning_rate}; choose a smaller one, such as "
            f"{min(params.learning_rate / 10, 0.001):.3g}."
        )


def _copy(net: nn.Module) -> dict[str, Tensor]:
    state = net.state_dict()  # not a new dict: this one has the versions of the layers with it
    state.update({name: value.detach().clone() for name, value in state.items()})
    return state
