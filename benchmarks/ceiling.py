"""The ceiling of our training: its own step on one synthetic batch that stays on the device.

``python -m benchmarks.ceiling`` prepares an untrained model as a training of such images does, and
prints how many images a second the step alone takes in.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from train_pytorch_model.data.batches import normalise
from train_pytorch_model.engine.fit import sgd, train_step
from train_pytorch_model.engine.runtime import start
from train_pytorch_model.models.network import fit_to_sizes, network
from train_pytorch_model.ports.model_directory import read_model_directory

CLASSES = 10


def images_per_second(model: Path, size: int, batch_size: int, steps: int, warm_up: int) -> float:
    """How many images a second the step takes in.

    Args:
        model: an untrained model directory.
        size: the height and the width of the images.
        batch_size: images in the batch.
        steps: how many are timed.
        warm_up: how many go before, untimed.
    """
    runtime = start("auto")
    untrained = read_model_directory(model, "untrained_model")
    net = network(untrained, [str(label) for label in range(CLASSES)], seed=1)
    fit_to_sizes(net, untrained, {(size, size)})
    runtime.prepare((size, size))
    layout = runtime.memory_format((size, size))
    net = net.to(runtime.device).to(memory_format=layout).train()
    optimizer = sgd(net, 0.001)
    pixels = torch.randint(256, (batch_size, size, size, 3), dtype=torch.uint8)
    images = normalise(pixels.to(runtime.device), layout)
    labels = torch.randint(CLASSES, (batch_size,), device=runtime.device)
    precision = runtime.precision()

    def take(count: int) -> None:
        for _ in range(count):
            _, loss = train_step(net, optimizer, images, labels, precision)
        loss.item()  # waits for the device

    take(warm_up)
    begun = time.perf_counter()
    take(steps)
    return steps * batch_size / (time.perf_counter() - begun)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="ceiling", description=str(__doc__).splitlines()[0])
    add = parser.add_argument
    add("--untrained-model-path", type=Path, required=True)
    add("--size", type=int, required=True, help="height and width of the images")
    add("--batch-size", type=int, default=16, help="default 16")
    add("--steps", type=int, default=100, help="default 100")
    add("--warm-up", type=int, default=10, help="steps before; default 10")
    args = parser.parse_args(argv)
    rate = images_per_second(
        args.untrained_model_path, args.size, args.batch_size, args.steps, args.warm_up
    )
    sys.stdout.write(f"{rate:.2f} images/s\n")


if __name__ == "__main__":
    main()
