"""Layers for large images on a CPU: as ours compute them against PyTorch's own.

``python -m benchmarks.layers`` times what a ResNet-18 computes otherwise than PyTorch does, for
batches of 16 images of 224x224: each kind of convolution of 3x3 as products of matrices, outputs
and gradients or the gradient of the weights alone; the batch normalisation behind the max-pooling,
with its gradients; and whole training steps. Both sides take turns in one process. It prints
medians.

Measured on 2026-11-29 with ``--runs 7``, on a machine that others use too::

    AMD EPYC with AVX2, 2 cores; torch 2.15.0+cu132

    64 → 64 channels, 56x56, stride 1: gradient of weights            63.0 →     45.8 ms    0.73
    64 → 128 channels, 56x56, stride 2: gradient of weights           32.4 →     24.9 ms    0.77
    128 → 128 channels, 28x28, stride 1: outputs                      28.6 →     33.3 ms    1.17
    128 → 128 channels, 28x28, stride 1: gradients                    85.2 →     64.2 ms    0.75
    128 → 256 channels, 28x28, stride 2: gradient of weights          29.5 →     20.2 ms    0.69
    256 → 256 channels, 14x14, stride 1: outputs                      26.5 →     23.0 ms    0.87
    256 → 256 channels, 14x14, stride 1: gradients                    75.1 →     46.3 ms    0.62
    256 → 512 channels, 14x14, stride 2: gradient of weights          31.7 →     18.5 ms    0.58
    512 → 512 channels, 7x7, stride 1: outputs                        38.5 →     26.3 ms    0.68
    512 → 512 channels, 7x7, stride 1: gradients                      88.7 →     47.5 ms    0.54
    64 channels, 112x112: copied, normalised and pooled              161.9 →     95.7 ms    0.59
    a step of resnet18                                              2013.9 →   1530.5 ms    0.76
    a step of vgg11                                                 9377.3 →   5360.9 ms    0.57
    a step of resnet50                                              4982.8 →   4134.7 ms    0.83

``train_pytorch_model/engine/runtime.py`` says which processors compute products; all CPUs normalise
after pooling. On a processor with AVX-512 this has not been run.
"""

import argparse
import copy
import functools
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
import torchvision
from torch import nn
from torch.nn.functional import conv2d

from benchmarks.sides import processor
from train_pytorch_model.engine.fit import train_step
from train_pytorch_model.engine.optimizer import SGD
from train_pytorch_model.engine.runtime import start
from train_pytorch_model.models.normalisation import normalise_pooled
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


def compare_normalisation(channels: int, edge: int, runs: int) -> None:
    """Compare a batch normalisation between a convolution, which is not timed, and a pooling."""
    given = torch.randn(BATCH, channels, edge, edge).to(memory_format=torch.channels_last)
    conv = nn.Conv2d(channels, channels, 1)
    plain = nn.Sequential(conv, nn.BatchNorm2d(channels), nn.MaxPool2d(3, 2, 1))
    ours = copy.deepcopy(plain)
    normalise_pooled(ours)
    forget_pooled(plain)
    sides = [net[1:].train() for net in (plain, ours)]
    gradient = torch.randn_like(sides[0](given))

    def step(side: nn.Module) -> None:
        images = given.clone().requires_grad_()  # for both: ours writes its gradient there
        torch.autograd.backward(side(images), gradient)

    what = f"{channels} channels, {edge}x{edge}: copied, normalised and pooled"
    own, fitted = (functools.partial(step, side) for side in sides)
    compare(what, own, fitted, runs)


def compare_steps(name: str, runs: int) -> None:
    """Compare whole training steps of a network."""
    plain = getattr(torchvision.models, name)(num_classes=10)
    pool_first(plain)
    plain = plain.to(memory_format=torch.channels_last).train()
    ours = copy.deepcopy(plain)
    normalise_pooled(ours)
    for net in (plain, ours):
        forget_pooled(net)
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
    parser = argparse.ArgumentParser(prog="layers", description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help="of each; default 15")
    runs = parser.parse_args(argv).runs
    start("cpu").prepare((SIZE, SIZE))
    sys.stdout.write(f"{processor()}; torch {torch.__version__}\n\n")
    for channels, outputs, edge, stride in CONVOLUTIONS:
        compare_convolution(channels, outputs, edge, stride, runs)
    compare_normalisation(64, 112, runs)
    for name in ("resnet18", "vgg11", "resnet50"):
        compare_steps(name, runs)


if __name__ == "__main__":
    main()
