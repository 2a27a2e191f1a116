"""Convolutions: as products of matrices against PyTorch's own.

``python -m benchmarks.convolutions`` times what is computed as products, for each kind of
convolution of 3x3 that a ResNet-18 has for batches of 16 images of 224x224: outputs and gradients,
or the gradient of the weights alone; and whole training steps. Both sides take turns in one
process. It prints medians.

Measured on 2026-11-29 with ``--runs 7``, on a machine that others use too::

    AMD EPYC with AVX2, 2 cores; torch 2.15.0+cu132

    64 → 64 channels, 56x56, stride 1: gradient of weights            66.8 →     57.5 ms    0.86
    64 → 128 channels, 56x56, stride 2: gradient of weights           36.6 →     26.8 ms    0.73
    128 → 128 channels, 28x28, stride 1: outputs                      30.0 →     36.7 ms    1.23
    128 → 128 channels, 28x28, stride 1: gradients                    81.6 →     67.8 ms    0.83
    128 → 256 channels, 28x28, stride 2: gradient of weights          30.4 →     21.3 ms    0.70
    256 → 256 channels, 14x14, stride 1: outputs                      27.2 →     26.3 ms    0.97
    256 → 256 channels, 14x14, stride 1: gradients                    74.2 →     48.0 ms    0.65
    256 → 512 channels, 14x14, stride 2: gradient of weights          33.7 →     20.9 ms    0.62
    512 → 512 channels, 7x7, stride 1: outputs                        41.4 →     28.2 ms    0.68
    512 → 512 channels, 7x7, stride 1: gradients                     126.4 →     60.6 ms    0.48
    a step of resnet18                                              2207.7 →   1714.9 ms    0.78
    a step of vgg11                                                10863.8 →   6093.0 ms    0.56
    a step of resnet50                                              5778.8 →   5076.4 ms    0.88

``train_pytorch_model/engine/runtime.py`` says which processors compute products. On one with
AVX-512 this has not been run.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
import torchvision
from torch.nn.functional import conv2d

from benchmarks.sides import processor
from train_pytorch_model.engine.fit import train_step
from train_pytorch_model.engine.optimizer import SGD
from train_pytorch_model.engine.runtime import start
from train_pytorch_model.models.pooling import forget_pooled, pool_first
from train_pytorch_model.models.shapes import input_sizes
from train_pytorch_model.models.weight_gradients import (
    multiply_weight_gradients,
    weight_gradient,
)
from train_pytorch_model.models.winograd import Scratch, gradients, outputs_of, use_winograd

BATCH = 16
SIZE = 224
WIDE = 128
"""With so many channels, and a stride of 1, ``winograd`` computes them, else ``weight_gradients``
their gradients."""

CONVOLUTIONS = (
    # channels, outputs, edge of what is convolved, stride
    (64, 64, 56, 1),
    (64, 128, 56, 2),
    (128, 128, 28, 1),
    (128, 256, 28, 2),
    (256, 256, 14, 1),
    (256, 512, 14, 2),
    (512, 512, 7, 1),
)
"""Of 3x3, with a border of one pixel."""


def compare(what: str, own: Callable[[], object], ours: Callable[[], object], runs: int) -> None:
    """Do both in turn and print the medians."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for run in range(runs + 1):
        for side, times in zip((own, ours), seconds, strict=True):
            begun = time.perf_counter()
            side()
            if run:  # the first of all is not counted
                times.append(time.perf_counter() - begun)
    before, after = (1000 * median(times) for times in seconds)
    sys.stdout.write(f"{what:<62}{before:>8.1f} → {after:>8.1f} ms{after / before:>8.2f}\n")


def compare_convolution(channels: int, outputs: int, edge: int, stride: int, runs: int) -> None:
    """Compare the gradients of one kind of convolution, and the outputs where they differ."""
    shape = (BATCH, channels, edge, edge)
    images = torch.randn(shape).to(memory_format=torch.channels_last)
    weight = torch.randn(outputs, channels, 3, 3).to(memory_format=torch.channels_last)
    scratch = Scratch()
    gradient = torch.randn_like(conv2d(images, weight, None, stride, 1))

    def own(of_images: bool) -> object:
        wanted = [of_images, True, False]
        geometry = (None, [stride] * 2, [1, 1], [1, 1], False, [0, 0], 1, wanted)
        return torch.ops.aten.convolution_backward(gradient, images, weight, *geometry)

    what = f"{channels} → {outputs} channels, {edge}x{edge}, stride {stride}"
    if stride == 1 and min(channels, outputs) >= WIDE:
        compare(
            f"{what}: outputs",
            lambda: conv2d(images, weight, None, 1, 1),
            lambda: outputs_of(images, weight, None, scratch),
            runs,
        )
        compare(
            f"{what}: gradients",
            lambda: own(of_images=True),
            lambda: gradients(images, weight, gradient, scratch),
            runs,
        )
    else:
        compare(
            f"{what}: gradient of weights",
            lambda: own(of_images=False),
            lambda: weight_gradient(images, gradient, 3, stride, 1),
            runs,
        )


def compare_steps(name: str, runs: int) -> None:
    """Compare whole training steps of a network."""
    plain = getattr(torchvision.models, name)(num_classes=10)
    pool_first(plain)
    forget_pooled(plain)
    plain = plain.to(memory_format=torch.channels_last).train()
    ours = copy.deepcopy(plain)
    use_winograd(ours, input_sizes(copy.deepcopy(plain).to("meta"), {(SIZE, SIZE)}), BATCH)
    multiply_weight_gradients(ours)
    images = torch.randn(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    labels = torch.randint(10, (BATCH,))
    optimisers = [SGD(net, 0.001) for net in (plain, ours)]
    compare(
        f"a step of {name}",
        lambda: train_step(plain, optimisers[0], images, labels),
        lambda: train_step(ours, optimisers[1], images, labels),
        runs,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Compare."""
    parser = argparse.ArgumentParser(prog="convolutions", description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="of each; default 15")
    runs = parser.parse_args(argv).runs
    start("cpu").prepare((SIZE, SIZE))
    sys.stdout.write(f"{processor()}; torch {torch.__version__}\n\n")
    for channels, outputs, edge, stride in CONVOLUTIONS:
        compare_convolution(channels, outputs, edge, stride, runs)
    for name in ("resnet18", "vgg11", "resnet50"):
        compare_steps(name, runs)


if __name__ == "__main__":
    main()
