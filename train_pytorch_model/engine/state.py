"""The state of a run: everything that training changes, and its copy in a checkpoint."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import torch
from torch import Tensor, nn

from train_pytorch_model.engine.early_stopping import EarlyStopping
from train_pytorch_model.engine.optimizer import SGD
from train_pytorch_model.engine.sums import Sums
from train_pytorch_model.report.metrics import EpochMetrics


@dataclass
class TrainState:
    """What a run has come to.

    The order of the images is no part of it: that is a function of the seed and the epoch.

    Attributes:
        net: the network with its weights, on the device.
        optimizer: moves its parameters, and has their momentum.
        stopping: the patience that is left.
        batches: how many training batches of the running epoch are done.
        sums: over these.
        history: the epochs that are over; exactly one of them is ``best``, if there are any.
        best_weights: the state dict of that one, which nothing changes.
        started: when the running epoch began, on the clock of ``time.perf_counter``.
        trained_s: the seconds that its training took; None while it is trained.
        ended: when the last epoch was over, in UTC; None before that.
    """

    net: nn.Module
    optimizer: SGD
    stopping: EarlyStopping
    batches: int = 0
    sums: Sums = field(default_factory=Sums)
    history: list[EpochMetrics] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    started: float = field(default_factory=time.perf_counter)
    trained_s: float | None = None
    ended: datetime | None = None

    @property
    def epoch(self) -> int:
        """The running epoch, counted from 0."""
        return len(self.history)

    @property
    def best_loss(self) -> float | None:
        """The lowest validation loss, if an epoch is over."""
        return next((metrics.validation_loss for metrics in self.history if metrics.best), None)

    @property
    def position(self) -> str:
        """Where the run is, for people."""
        if self.batches:
            return f"in epoch {self.epoch + 1} after batch {self.batches}"
        return f"after epoch {self.epoch}"

    def end_epoch(self, metrics: EpochMetrics) -> None:
        """Go on to the next epoch; ``metrics.best`` says whether the weights are the best."""
        if metrics.best:
            self.best_weights = _copy(self.net)
            self.history = [replace(past, best=False) for past in self.history]
        self.history.append(metrics)
        self.stopping.should_stop(metrics.validation_loss)
        self.batches, self.sums, self.trained_s = 0, Sums(), None
        self.started = time.perf_counter()

    def snapshot(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """A copy, on the CPU, of everything that a run needs to go on.

        Returns:
            Numbers and texts, as JSON has them, and tensors by name.
        """
        facts: dict[str, Any] = {"finished": False, "history": self._rows()}
        facts |= {"batches": self.batches, "images": self.sums.images}
        facts |= {"elapsed": time.perf_counter() - self.started, "trained": self.trained_s}
        tensors = self._best()
        best_just_now = not self.batches and bool(self.history) and self.history[-1].best
        for name, value in self._changing().items():
            best = tensors.get(name.replace("net.", "best.", 1)) if best_just_now else None
            # A tensor that is there under two names is copied, and written, once.
            tensors[name] = value.detach().to("cpu", copy=True) if best is None else best
        return facts, tensors

    def result(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Like ``snapshot``, when nothing is left to train: the best weights and the history."""
        assert self.ended is not None, "there is no result before the end"
        facts = {"finished": True, "history": self._rows(), "ended": self.ended.isoformat()}
        return facts, self._best()

    def _rows(self) -> list[dict[str, Any]]:
        return [asdict(metrics) for metrics in self.history]

    def _best(self) -> dict[str, Tensor]:
        return {f"best.{name}": value.cpu() for name, value in self.best_weights.items()}

    def restore(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Become what a snapshot or a result was taken of, on any device.

        Raises:
            ValueError: it is not one of a run of this network; nothing is changed then.
        """
        history = _history(facts.get("history"))
        best_weights = self.net.state_dict()
        expected = {f"best.{name}": value for name, value in best_weights.items()}
        best = _checked(tensors, expected if history else {})
        if not all(value.isfinite().all() for value in best.values()):
            raise ValueError("has weights that are not finite")
        if facts.get("finished") is True:
            self.ended = datetime.fromisoformat(str(facts.get("ended")))
        else:
            self._restore_running(facts, tensors)
        if history:
            best_weights.update({name: best[f"best.{name}"] for name in best_weights})
            self.best_weights = best_weights
        self.history = history
        for metrics in history:
            self.stopping.should_stop(metrics.validation_loss)

    def _restore_running(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        batches, images = _count(facts.get("batches")), _count(facts.get("images"))
        elapsed, trained = facts.get("elapsed"), facts.get("trained")
        plausible = trained is None or (isinstance(trained, float) and trained > 0)
        if not isinstance(elapsed, float) or not plausible:
            raise ValueError("does not say how long the run took")
        parameters = dict(self.net.named_parameters())
        moving = {name: p for name, p in parameters.items() if f"momentum.{name}" in tensors}
        if moving and len(moving) < len(parameters):
            raise ValueError("has not all momenta")
        running = self._changing()
        running |= {f"momentum.{name}": parameter for name, parameter in moving.items()}
        if "random.cuda" not in tensors:
            running.pop("random.cuda", None)  # it was on a CPU
        values = _checked(tensors, running)
        try:
            torch.set_rng_state(values["random.cpu"])
            if "random.cuda" in values:
                torch.cuda.set_rng_state(values["random.cuda"], self._device)
        except RuntimeError as error:
            raise ValueError("has no random state") from error
        for parameter in moving.values():
            self.optimizer.momenta[parameter] = torch.empty_like(parameter)
        with torch.no_grad():
            for name, tensor in self._changing().items():
                if name.startswith(("net.", "momentum.")):
                    tensor.copy_(values[name])
        self.batches, self.trained_s = batches, trained
        self.started = time.perf_counter() - elapsed
        self.sums = Sums(images, values["sums"].to(self._device))

    @property
    def _device(self) -> torch.device:
        return next(self.net.parameters()).device

    def _changing(self) -> dict[str, Tensor]:
        """What a step changes, by its name in a checkpoint."""
        changing = {f"net.{name}": value for name, value in self.net.state_dict().items()}
        for name, parameter in self.net.named_parameters():
            if parameter in self.optimizer.momenta:
                changing[f"momentum.{name}"] = self.optimizer.momenta[parameter]
        changing["sums"] = self.sums.values.expand(3)
        changing["random.cpu"] = torch.get_rng_state()
        if self._device.type == "cuda":
            changing["random.cuda"] = torch.cuda.get_rng_state(self._device)
        return changing


def _copy(net: nn.Module) -> dict[str, Tensor]:
    state = net.state_dict()  # not a new dict: this one has the versions of the layers with it
    state.update({name: value.detach().clone() for name, value in state.items()})
    return state


def _history(rows: object) -> list[EpochMetrics]:
    """The epochs that ``rows`` lists.

    Raises:
        ValueError: it does not.
    """
    types = {f.name: f.type for f in fields(EpochMetrics)}
    rows = rows if isinstance(rows, list) else [None]
    for row in rows:
        found = {key: type(value) for key, value in row.items()} if isinstance(row, dict) else {}
        if found != types:
            raise ValueError("has a history that is none")
    history = [EpochMetrics(**row) for row in rows]
    numbered = [metrics.epoch for metrics in history] == [*range(1, len(history) + 1)]
    if not numbered or sum(metrics.best for metrics in history) != bool(history):
        raise ValueError("has a history that is none")
    return history


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("does not say where the run was")
    return value


def _checked(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of these names.

    Raises:
        ValueError: one is missing, or of another shape or type.
    """
    for name, reference in expected.items():
        found = tensors.get(name)
        if found is None or found.shape != reference.shape or found.dtype != reference.dtype:
            raise ValueError(f"has no {name} of {list(reference.shape)} {reference.dtype}")
        if found.layout != torch.strided or found.device.type != "cpu":
            raise ValueError(f"has no values of {name}")
    return {name: tensors[name] for name in expected}
