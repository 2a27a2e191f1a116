"""The ceiling of our training: its own step on one synthetic batch that stays on the device.

``python -m benchmarks.ceiling`` trains on the images as a run does and, from the second epoch on,
stops every few batches to take as many steps on the one batch, with the same network. A machine
that others use changes its pace within seconds; so both have the same share of it. It prints the
images/s of the steps alone, then those of the epochs.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import torch

from train_pytorch_model.data.batches import (
    Batch,
    TrainingBatches,
    ValidationBatches,
    evaluation_batch_size,
    normalise,
    source_of,
)
from train_pytorch_model.data.labelled_images import LabelledImages, open_labelled_images
from train_pytorch_model.data.memory import CacheSpace, available_bytes
from train_pytorch_model.engine.checkpoints import Checkpoints
from train_pytorch_model.engine.fit import fit, new_state, train_step
from train_pytorch_model.engine.runtime import start
from train_pytorch_model.models.network import fit_to_sizes, network
from train_pytorch_model.params import TrainingParams
from train_pytorch_model.ports.image_directory import labelled, read_image_directory
from train_pytorch_model.ports.model_directory import read_model_directory
from train_pytorch_model.report.console import EpochTable

PARTS = 15
"""An epoch is stopped so often."""


class Interrupted(TrainingBatches):
    """Training batches that do something else between them, and know how long each part took.

    Attributes:
        meanwhile: what to do after each part, from the second epoch on.
        seconds: of each part, and of what was done after it.
    """

    meanwhile: Callable[[], None]
    seconds: list[tuple[float, float]]

    @property
    def part(self) -> int:
        """The batches from one interruption to the next."""
        return max(1, len(self) // PARTS)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of an epoch."""
        begun = now()
        for batch in super().epoch(epoch, first):
            yield batch
            if epoch and (batch.number + 1) % self.part == 0:
                trained = now()
                self.meanwhile()
                self.seconds.append((trained - begun, now() - trained))
                begun = now()


def now() -> float:
    """Seconds, when the device has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def images_per_second(
    model: Path,
    training: LabelledImages,
    validation: LabelledImages,
    params: TrainingParams,
    device: str,
) -> tuple[float, float]:
    """How many images a second the step alone takes in, and how many the epochs do; medians.

    Args:
        model: an untrained model directory.
        training: the images to train on.
        validation: those to validate with, of the same size.
        params: two epochs or more.
        device: ``cpu`` or ``cuda``.
    """
    runtime = start(device)
    labels = training.image_set.schema.classes
    untrained = read_model_directory(model, "untrained_model")
    net = network(untrained, labels, params.random_seed)
    layout, precision = runtime.memory_format(training.size), runtime.precision()
    fit_to_sizes(net, untrained, {training.size}, params.batch_size, layout, runtime.cpu_capability)
    runtime.prepare(training.size)
    state = new_state(net.to(runtime.device), params)
    size = params.batch_size
    batches = Interrupted(source_of(training, runtime.device), size, params.random_seed, layout)
    evaluated = evaluation_batch_size(size, training.size, validation.size)
    validated = ValidationBatches(source_of(validation, runtime.device), evaluated, layout)
    pixels = torch.randint(256, (size, *training.size, 3), dtype=torch.uint8)
    images = normalise(pixels.to(runtime.device), layout)
    targets = torch.randint(len(labels), (size,), device=runtime.device)

    def steps() -> None:
        for _ in range(batches.part):
            train_step(state.net, state.optimizer, images, targets, precision)

    batches.meanwhile, batches.seconds = steps, []
    table = EpochTable(params.epochs, len(batches) * size, len(batches))
    fit(state, batches, validated, params, table, Checkpoints(None), precision=precision)
    within, alone = map(median, zip(*batches.seconds, strict=True))
    return batches.part * size / alone, batches.part * size / within


def main(argv: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="ceiling", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--untrained-model-path", type=Path, required=True)
    add("--training", type=Path, required=True, help="an image directory")
    add("--validation", type=Path, required=True, help="another")
    add("--epochs", type=int, default=3, help="default 3")
    add("--batch-size", type=int, default=16, help="default 16")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    args = parser.parse_args(argv)
    space = CacheSpace(available_bytes() // 2, 0)
    training, validation = (
        open_labelled_images(labelled(read_image_directory(path, path.name)), "auto", space)
        for path in (args.training, args.validation)
    )
    params = TrainingParams(args.epochs, args.batch_size, patience=args.epochs)
    model, device = args.untrained_model_path, args.device
    for rate in images_per_second(model, training, validation, params, device):
        sys.stdout.write(f"{rate:.2f} images/s\n")


if __name__ == "__main__":
    main()
