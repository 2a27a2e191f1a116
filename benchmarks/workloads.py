"""What ``benchmarks.training`` trains, and what ours is to reach there."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import fashion_mnist, photographs

OURS, ORIGINAL, PLAIN, LIGHTNING = "ours", "original", "plain", "lightning"
RECREATED, CEILING = "re-created", "ceiling"
"""The names of the sides."""

RATES, WHOLE, MEMORY = "images/s", "whole process", "peak memory"
"""The names of the figures."""

Writer = Callable[[int, bool, Path], None]
"""Writes so many images, for training or not, as class folders into a new folder."""


@dataclass(frozen=True)
class Target:
    """What ours is to reach.

    Attributes:
        figure: its name.
        side: whom ours is compared with.
        ratio: how many times as good ours is to be, at least; of memory, how many times as much it
            may take, at most.
    """

    figure: str
    side: str
    ratio: float


@dataclass(frozen=True)
class Workload:
    """What is trained.

    Attributes:
        name: of its folder, and on the command line.
        images: what they are, for people.
        size: their height and width.
        write: writes them.
        counts: how many to train on and to validate with.
        epochs: how many times.
        targets: what ours is to reach.
        model: the architecture.
        batch: images in a batch.
        device: what trains, ``cpu`` or ``cuda``.
    """

    name: str
    images: str
    size: int
    write: Writer
    counts: tuple[int, int]
    epochs: int
    targets: tuple[Target, ...]
    model: str = "resnet18"
    batch: int = 16
    device: str = "cpu"

    def __str__(self) -> str:
        training, validation = self.counts
        return (
            f"{self.images}, {self.size}x{self.size} pixels, {training:,} to train on and "
            f"{validation:,} to validate with, {self.model} in batches of {self.batch}, "
            f"{self.epochs} epochs"
        )


def cpu_workloads(data: Path) -> list[Workload]:
    """Those of a machine without a GPU; ``data`` is the folder of Fashion-MNIST."""

    def fashion(count: int, training: bool, target: Path) -> None:
        fashion_mnist.write_class_folders(data, "train" if training else "t10k", count, target)

    everywhere = (Target(RATES, CEILING, 0.95), Target(MEMORY, ORIGINAL, 1))
    return [
        Workload(
            "fashion-mnist",
            "Fashion-MNIST",
            28,
            fashion,
            (6000, 1000),
            3,
            (
                Target(RATES, ORIGINAL, 1.5),
                Target(WHOLE, ORIGINAL, 2),
                *everywhere,
            ),
        ),
        Workload(
            "photographs",
            "photographs (JPEG and PNG)",
            photographs.SIZE,
            partial(_photographs, ("jpg", "png")),
            (240, 40),
            3,
            (Target(RATES, ORIGINAL, 1.25), *everywhere),
        ),
    ]


def gpu_workloads() -> list[Workload]:
    """Those of a machine with a GPU."""
    return [
        Workload(
            f"{model}-{batch}",
            "photographs (PNG)",
            photographs.SIZE,
            partial(_photographs, ("png",)),
            (5120, 640),
            4,
            (Target(RATES, CEILING, 0.95), Target(RATES, RECREATED, ratio)),
            model,
            batch,
            "cuda",
        )
        for model, ratio in (("resnet50", 5), ("resnet18", 10))
        for batch in (16, 64, 256)
    ]


def _photographs(formats: tuple[str, ...], count: int, training: bool, target: Path) -> None:
    photographs.write_class_folders(count, 1 if training else 2, target, formats)
