"""Layers on a CPU: as ours compute them against PyTorch's own.

``python -m benchmarks.layers`` times what a ResNet-18 computes otherwise than PyTorch does, for
batches of 16 images of 224x224: each kind of convolution of 3x3 as products of matrices, outputs
and gradients or the gradient of the weights alone; the batch normalisation behind the max-pooling,
with its gradients; and whole training steps. Then, for images of 28x28, the convolutions that give
2x2 pixels, with their gradients, as products for each tap, and whole steps. Both sides take turns
in one process. It prints medians.

Measured on 2026-11-29 with ``--runs 7``, on a machine that others use too::

    AMD EPYC with AVX2, 2 cores; torch 2.15.0+cu132

    64 → 64 channels, 56x56, stride 1: gradient of weights            66.6 →     47.9 ms    0.72
    64 → 128 channels, 56x56, stride 2: gradient of weights           36.1 →     22.8 ms    0.63
    128 → 128 channels, 28x28, stride 1: outputs                      28.1 →     29.4 ms    1.05
    128 → 128 channels, 28x28, stride 1: gradients                    76.2 →     52.1 ms    0.68
    128 → 256 channels, 28x28, stride 2: gradient of weights          22.9 →     17.8 ms    0.78
    256 → 256 channels, 14x14, stride 1: outputs                      23.0 →     19.3 ms    0.84
    256 → 256 channels, 14x14, stride 1: gradients                    53.7 →     33.5 ms    0.62
    256 → 512 channels, 14x14, stride 2: gradient of weights          20.3 →     13.8 ms    0.68
    512 → 512 channels, 7x7, stride 1: outputs                        31.7 →     22.7 ms    0.72
    512 → 512 channels, 7x7, stride 1: gradients                      81.2 →     43.4 ms    0.53
    64 channels, 112x112: copied, normalised and pooled              161.9 →     96.1 ms    0.59
    a step of resnet18                                              1956.9 →   1385.7 ms    0.71
    a step of vgg11                                                 7432.1 →   4245.8 ms    0.57
    a step of resnet50                                              4398.2 →   3853.8 ms    0.88
    256 → 256 channels, 2x2, stride 1: with gradients                  6.5 →      3.3 ms    0.51
    128 → 256 channels, 4x4, stride 2: with gradients                  3.9 →      2.8 ms    0.72
    a step of resnet18 on 28x28                                       64.0 →     53.1 ms    0.83
    a step of resnet50 on 28x28                                      163.8 →    157.8 ms    0.96

``models/network.py`` says which processors compute what. On a processor with AVX-512 this has not
been run.
"""

import argparse
import copy
import functools
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch import nn
from torch.nn.functional import conv2d

from benchmarks.sides import processor
from train_pytorch_model.engine.fit import train_step
from train_pytorch_model.engine.optimizer import SGD
from train_pytorch_model.engine.runtime import start
from train_pytorch_model.models.kernel_maps import use_kernel_maps
from train_pytorch_model.models.kernels import fit_kernels
from train_pytorch_model.models.normalisation import normalise_pooled
from train_pytorch_model.models.pooling import forget_pooled, pool_first
from train_pytorch_model.models.shapes import input_sizes
from train_pytorch_model.models.torchvision_networks import networks
from train_pytorch_model.models.weight_gradients import (
    multiply_weight_gradients,
    weight_gradient,
)
from train_pytorch_model.models.winograd import Scratch, gradients, outputs_of, use_winograd

BATCH = 16
SIZE = 224
SMALL = 28
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


def compare_kernel_maps(channels: int, outputs: int, edge: int, stride: int, runs: int) -> None:
    """Compare one kind of convolution of 3x3 where it gives few pixels."""
    plain = nn.Sequential(nn.Conv2d(channels, outputs, 3, stride, 1, bias=False))
    ours = copy.deepcopy(plain)
    use_kernel_maps(ours, {"0": {(edge, edge)}}, torch.contiguous_format)
    images = torch.randn(BATCH, channels, edge, edge, requires_grad=True)
    gradient = torch.randn_like(plain(images))

    def step(side: nn.Module) -> None:
        for tensor in (images, *side.parameters()):
            tensor.grad = None
        torch.autograd.backward(side(images), gradient)

    what = f"{channels} → {outputs} channels, {edge}x{edge}, stride {stride}: with gradients"
    own, fitted = (functools.partial(step, side) for side in (plain, ours))
    compare(what, own, fitted, 10 * runs)


def compare_small_steps(name: str, runs: int) -> None:
    """Compare whole training steps of a network on small images; both have trimmed kernels."""
    plain = getattr(networks, name)(num_classes=10)
    inputs = input_sizes(copy.deepcopy(plain).to("meta"), {(SMALL, SMALL)})
    fit_kernels(plain, inputs)
    pool_first(plain)
    forget_pooled(plain)
    ours = copy.deepcopy(plain.train())
    use_kernel_maps(ours, inputs, torch.contiguous_format)
    images, labels = torch.randn(BATCH, 3, SMALL, SMALL), torch.randint(10, (BATCH,))
    own, fitted = (
        functools.partial(train_step, net, SGD(net, 0.001), images, labels) for net in (plain, ours)
    )
    compare(f"a step of {name} on {SMALL}x{SMALL}", own, fitted, 10 * runs)


def compare_steps(name: str, runs: int) -> None:
    """Compare whole training steps of a network."""
    plain = getattr(networks, name)(num_classes=10)
    pool_first(plain)
    plain = plain.to(memory_format=torch.channels_last).train()
    ours = copy.deepcopy(plain)
    normalise_pooled(ours)
    for net in (plain, ours):
        forget_pooled(net)
    skeleton = getattr(networks, name)(num_classes=10).to("meta")
    use_winograd(ours, input_sizes(skeleton, {(SIZE, SIZE)}), BATCH)
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
    start("cpu").prepare((SMALL, SMALL))
    compare_kernel_maps(256, 256, 2, 1, runs)
    compare_kernel_maps(128, 256, 4, 2, runs)
    for name in ("resnet18", "resnet50"):
        compare_small_steps(name, runs)


if __name__ == "__main__":
    main()
