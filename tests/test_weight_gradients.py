"""Gradients of weights as products are those that PyTorch computes."""

import copy
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from tests.alike import assert_gradients_are_alike, plain_network
from tests.conftest import Arguments, class_folders
from train_pytorch_model.models.weight_gradients import (
    multiply_weight_gradients,
    weight_gradient,
)


@pytest.mark.parametrize("kernels", [4, 129])
@pytest.mark.parametrize("edge", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_every_geometry(kernels: int, edge: int, stride: int, padding: int) -> None:
    """Images of one row and column up to some that no block of them fills, in double precision."""
    for height, width in itertools.product((1, 2, 5, 6, 9), (1, 3, 6, 8)):
        if min(height, width) + 2 * padding < edge:
            continue
        images = torch.randn(3, 2, height, width, dtype=torch.float64)
        weight = torch.randn(kernels, 2, edge, edge, dtype=torch.float64, requires_grad=True)
        outputs = conv2d(images, weight, None, stride, padding)
        gradient = torch.randn_like(outputs)
        (expected,) = torch.autograd.grad(outputs, weight, gradient)
        found = weight_gradient(images, gradient, edge, stride, padding)
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kernels", [4, 129])
def test_images_that_are_not_multiplied_together(kernels: int) -> None:
    """Maps of 40x40 places go one by one or two by two, and the last is left over."""
    images = torch.randn(3, 2, 40, 40, dtype=torch.float64)
    weight = torch.randn(kernels, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    for stride in (1, 2):
        outputs = conv2d(images, weight, None, stride, 1)
        gradient = torch.randn_like(outputs)
        (expected,) = torch.autograd.grad(outputs, weight, gradient)
        found = weight_gradient(images, gradient, 3, stride, 1)
        torch.testing.assert_close(found, expected)
        assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("name", "multiplied"),
    [
        ("resnet18", 16),  # all of 3x3
        ("resnet50", 16),
        ("resnext50_32x4d", 0),  # all of 3x3 are in groups
        ("vgg11", 7),  # but for the first, of three channels; with biases
        ("densenet121", 0),  # all give 32 channels
        ("mobilenet_v3_small", 0),
    ],
)
def test_networks_are_the_same(name: str, multiplied: int) -> None:
    """Outputs to the bit, and gradients in double precision, of which networks at all."""
    plain = plain_network(name)
    net = copy.deepcopy(plain)
    multiply_weight_gradients(net)
    changed = sum(type(module) is not type(old) for module, old in _pairs(net, plain))
    assert changed == multiplied
    assert torch.equal(*assert_gradients_are_alike(net, plain, 64, 64))


def _pairs(net: nn.Module, other: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    return list(zip(net.modules(), other.modules(), strict=True))


def test_training_is_the_same(arguments: Arguments, tmp_path: Path) -> None:
    """As a processor with AVX2 trains, and as one without does, but for rounding."""
    for name, flag in (("training", "--train-data-path"), ("validation", "--valid-data-path")):
        arguments[flag] = class_folders(tmp_path / name, {"cat": 6, "dog": 6}, size=64)
    weights = []
    for capability in ("avx2", "default"):
        target = tmp_path / capability
        flags = {**arguments, "--trained-model-path": target}
        words = [str(word) for pair in flags.items() for word in pair]
        subprocess.run(
            [sys.executable, "-m", "train_pytorch_model", *words],
            env={**os.environ, "ATEN_CPU_CAPABILITY": capability},
            check=True,
            capture_output=True,
        )
        weights.append(torch.load(target / "model", weights_only=True))
    for key, found in weights[0].items():
        torch.testing.assert_close(found, weights[1][key], rtol=0.02, atol=0.002, msg=key)
