"""The run as its user sees it: progress bars, a table line per epoch, and plain lines."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from tqdm import tqdm

from train_pytorch_model.errors import printable
from train_pytorch_model.report.metrics import EpochMetrics

if TYPE_CHECKING:  # as in metrics
    from torch import Tensor

HEADER = (
    "  epoch  learning rate  training loss   top-1  validation loss   top-1   top-5"
    "   images/s   time"
)

_ON_ITS_WAY = -1.0
"""Stands where a loss from the device has not arrived; a loss is not negative."""


class Unfailing:
    """A text stream that goes on when nobody can read it: a log line must not cost the model."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if that is possible."""
        with suppress(OSError, ValueError):  # a closed pipe, a full disk, a closed stream
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(line: str) -> None:
    """Print one line, above a progress bar if there is one."""
    tqdm.write(printable(line), file=Unfailing(sys.stdout))
    Unfailing(sys.stdout).flush()


def warn(line: str) -> None:
    """Print a warning, one line, on stderr."""
    tqdm.write(f"warning: {printable(line)}", file=Unfailing(sys.stderr))


def progress_bar(total: int, what: str, done: int = 0) -> "tqdm[NoReturn]":
    """A progress bar of ``total`` images; in a log file a line every half minute instead.

    Args:
        total: how many images there are.
        what: is done to them.
        done: how many were done before; they do not count as fast ones.
    """
    interactive = sys.stderr.isatty()
    return tqdm(
        file=Unfailing(sys.stderr),
        total=total,
        initial=done,
        desc=what,
        unit=" images",
        leave=False,
        mininterval=0.1 if interactive else 30,
        delay=0 if interactive else 30,
        ascii=not interactive,
        dynamic_ncols=interactive,
    )


class EpochTable:
    """A metric sink: a table line per epoch, under a progress bar of the epoch's batches."""

    def __init__(self, epochs: int, images: int, print_frequency: int) -> None:
        self._epochs = epochs
        self._images = images
        self._print_frequency = print_frequency
        self._epoch = 0
        self._done = 0
        self._batches = 0
        self._bar: tqdm[NoReturn] | None = None
        self._loss: Tensor | None = None
        self._header = HEADER

    def resume(self, epoch: int, images: int) -> None:
        """Go on after so many epochs, and so many images of the next one."""
        self._epoch, self._done = epoch, images

    def batch(self, images: int, loss: "Tensor") -> None:
        """Move the bar; at each print interval it shows the loss of the interval before.

        By then that has come from the device by itself: reading the newest would wait for it.
        """
        if self._bar is None:
            what = f"epoch {self._epoch + 1}/{self._epochs}"
            self._bar = progress_bar(self._images, what, self._done)
        self._batches += 1
        if self._batches % self._print_frequency == 0:
            before = _ON_ITS_WAY if self._loss is None else self._loss.item()
            if before != _ON_ITS_WAY:
                self._bar.set_postfix(loss=f"{before:.4f}", refresh=False)
            here = loss.new_full((), _ON_ITS_WAY, device="cpu", pin_memory=loss.is_cuda)
            self._loss = here.copy_(loss.detach(), non_blocking=True)
        self._bar.update(images)

    def epoch(self, metrics: EpochMetrics) -> None:
        """Print the epoch's line, and the table's header above the first."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        if self._header:
            say(self._header)
            self._header = ""
        self._epoch, self._done = metrics.epoch, 0
        say(table_line(metrics, self._epochs))


def table_line(metrics: EpochMetrics, epochs: int) -> str:
    """The line of the table under ``HEADER``."""
    line = (
        f"{metrics.epoch:>3}/{epochs:<3}"
        f"{metrics.learning_rate:>15.3e}"
        f"{metrics.training_loss:>15.4f}"
        f"{metrics.training_top1:>8.1%}"
        f"{metrics.validation_loss:>17.4f}"
        f"{metrics.validation_top1:>8.1%}"
        f"{metrics.validation_top5:>8.1%}"
        f"{metrics.images_per_second:>11.1f}"
        f"{metrics.seconds:>6.1f}s"
    )
    return line + ("  best so far" if metrics.best else "")
