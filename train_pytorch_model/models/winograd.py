"""Convolutions of 3x3 with four ninths of the multiplications.

Winograd's F(2x2, 3x3), as in Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"
(arXiv:1509.09308): two by two pixels of what a kernel gives come of four by four that it is given,
a patch. With patches and kernels each in another basis, they take 16 products instead of 36, and
those of many patches, channels and kernels are 16 products of matrices. The sums and halves that
change the basis round less than the longer sums of products do without it.

On processors without AVX-512 that takes less time (``benchmarks.layers``), from 128 channels
on, in and out. What decides it beside, in ``_fills``, was found by the same comparison for images
of 2 to 112 pixels, batches of 1 to 64 and up to 1,024 channels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from train_pytorch_model.models.shapes import Size

_CHANNELS = 128
"""With fewer, in or out, changing the basis takes as long as the products that it saves."""

_PATCHES = 800
"""Images are convolved together up to so many patches; at least one image is."""

_MANY = 3_136
"""With more patches in one image than 112x112 pixels have, they would take more memory than they
are worth."""

_OF_KERNEL = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_OF_PATCH = torch.tensor([[1.0, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
_OF_PIXELS = torch.tensor([[1.0, 1, 1, 0], [0, 1, -1, -1]])

_KERNEL = torch.kron(_OF_KERNEL, _OF_KERNEL)
"""(16, 9): from the weights of a kernel, row by row, to the basis of the products."""

_PATCH = torch.kron(_OF_PATCH, _OF_PATCH)
"""(16, 16): from the pixels of a patch to that basis."""

_PIXELS = torch.kron(_OF_PIXELS, _OF_PIXELS)
"""(4, 16): from that basis to the four pixels that a patch gives."""


def use_winograd(net: nn.Module, inputs: Mapping[str, set[Size]], batch: int) -> None:
    """Have the convolutions of ``net``, in place, that gain by it compute so.

    Args:
        net: a network for images on the CPU, the channels of whose pixels lie side by side.
        inputs: as ``shapes.input_sizes`` gives it.
        batch: how many images it is mostly given at once.
    """
    scratch = Scratch()
    for name, module in net.named_modules():
        if type(module) is nn.Conv2d and name in inputs and _gains(module, inputs[name], batch):
            module.__class__ = _Conv2d  # its weights, hooks and place in the network stay
            cast(_Conv2d, module).scratch = scratch


class Scratch:
    """Memory that convolutions compute in, one after the other.

    Without it, what one convolution frees lies scattered between what the network keeps for its
    gradients: training a ResNet-18 on photographs took 1,582 MB instead of 1,477.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}

    def take(self, name: str, like: Tensor, *shape: int) -> Tensor:
        """A tensor whose values are any, until one of this name is taken again."""
        count = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.dtype != like.dtype or len(block) < count:
            with torch.inference_mode(mode=False):  # a training step may take it next
                block = self._blocks[name] = like.new_empty(count)
        return block[:count].view(shape)


class _Conv2d(nn.Conv2d):
    """A convolution of 3x3 with a border of one pixel of zeros, at each pixel."""

    scratch: Scratch

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, height, width) → (b, outputs, height, width), channels side by side."""
        given: Tensor = _Convolution.apply(images, self.weight, self.bias, self.scratch)
        return given


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, scratch: Scratch
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.scratch = scratch
        return outputs_of(images, weight, bias, scratch)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        of_images, of_weight = gradients(images, weight, gradient, ctx.scratch)
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images, of_weight, of_bias, None


def outputs_of(images: Tensor, weight: Tensor, bias: Tensor | None, scratch: Scratch) -> Tensor:
    """What ``conv2d`` gives with a padding of 1.

    Args:
        images: (b, channels, height, width), of floats.
        weight: (outputs, channels, 3, 3), of the same dtype.
        bias: (outputs,), likewise, or none.
        scratch: to compute in.

    Returns:
        (b, outputs, height, width), the channels of a pixel side by side.
    """
    pixels = images.permute(0, 2, 3, 1)
    b, height, width, _ = pixels.shape
    rows, columns, outputs = _halves(height), _halves(width), len(weight)
    kernels, basis = _kernels(weight, scratch).transpose(1, 2), _PIXELS.to(weight)
    convolved = _empty(images, (b, outputs, height, width))
    for part, into in _parts(rows * columns, pixels, convolved.permute(0, 2, 3, 1)):
        patches = _patches(part, rows, columns, scratch)
        products = scratch.take("products", weight, 16, patches.shape[1], outputs)
        torch.bmm(patches, kernels, out=products)
        quarters = (basis @ products.flatten(1)).view(2, 2, len(part), rows, columns, outputs)
        whole = quarters.permute(2, 3, 0, 4, 1, 5)
        if (height, width) == (2 * rows, 2 * columns):
            into.view(whole.shape).copy_(whole)
        else:
            into.copy_(whole.reshape(-1, 2 * rows, 2 * columns, outputs)[:, :height, :width])
        if bias is not None:
            into.add_(bias)
    return convolved


def gradients(
    images: Tensor, weight: Tensor, gradient: Tensor, scratch: Scratch
) -> tuple[Tensor, Tensor]:
    """The gradients of the images and of the weights.

    Args:
        images: as ``outputs_of`` took them.
        weight: as ``outputs_of`` took it.
        gradient: of what ``outputs_of`` gave, (b, outputs, height, width).
        scratch: to compute in.

    Returns:
        Of the shapes of ``images`` and ``weight``, channels side by side.
    """
    pixels, given = images.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1)
    _, height, width, channels = pixels.shape
    rows, columns, outputs = _halves(height), _halves(width), len(weight)
    kernels = _kernels(weight, scratch)
    of_kernels = scratch.take("gradient", weight, *kernels.shape)
    of_images = _empty(images, images.shape)
    beyond = (0, 2 * columns - width, 0, 2 * rows - height)
    parts = _parts(rows * columns, pixels, given, of_images.permute(0, 2, 3, 1))
    for number, (part, of_part, into) in enumerate(parts):
        even = pad(of_part, (0, 0, *beyond)) if any(beyond) else of_part
        quarters = even.reshape(-1, rows, 2, columns, 2, outputs).permute(2, 4, 0, 1, 3, 5)
        products = scratch.take("products", weight, 16, len(part) * rows * columns, outputs)
        torch.mm(_PIXELS.to(weight).t(), quarters.reshape(4, -1), out=products.flatten(1))
        patches = _patches(part, rows, columns, scratch)
        of_kernels.baddbmm_(products.transpose(1, 2), patches, beta=min(number, 1))
        torch.bmm(products, kernels, out=patches)  # now their gradient, in that basis
        of_patches = scratch.take("products", weight, *patches.flatten(1).shape)
        torch.mm(_PATCH.to(weight).t(), patches.flatten(1), out=of_patches)
        into.copy_(_bordered(of_patches, rows, columns, channels)[:, 1 : height + 1, 1 : width + 1])
    of_weight = torch.matmul(_KERNEL.to(weight).t(), of_kernels.transpose(0, 1))
    of_weight = of_weight.view(outputs, 3, 3, channels)
    return of_images, of_weight.permute(0, 3, 1, 2)


def _gains(conv: nn.Conv2d, inputs: set[Size], batch: int) -> bool:
    """Whether it takes less time (``benchmarks.layers``): with wide, well filled products."""
    shape = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups)
    three_by_three = shape == ((3, 3), (1, 1), (1, 1), (1, 1), 1) and conv.padding_mode == "zeros"
    wide = min(conv.in_channels, conv.out_channels) >= _CHANNELS
    return three_by_three and wide and all(_fills(conv, *size, batch) for size in inputs)


def _fills(conv: nn.Conv2d, height: int, width: int, batch: int) -> bool:
    """Whether patches reach over the edge by little, and weights are few beside them."""
    patches = _halves(height) * _halves(width)
    enough = 2 * batch * patches >= max(conv.in_channels, conv.out_channels)
    return enough and patches <= _MANY and 4 * patches <= 1.4 * height * width


def _halves(length: int) -> int:
    return (length + 1) // 2


def _empty(like: Tensor, shape: Sequence[int]) -> Tensor:
    """Not a view of another tensor: an activation may write into what a convolution gave."""
    layout = torch.channels_last
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout)


def _parts(patches: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The tensors, along their first axis, in parts of so many images as are convolved together."""
    together = max(1, _PATCHES // patches)
    return zip(*(torch.split(tensor, together) for tensor in tensors), strict=True)


def _kernels(weight: Tensor, scratch: Scratch) -> Tensor:
    """(outputs, channels, 3, 3) → (16, outputs, channels)."""
    outputs, channels = weight.shape[:2]
    weights = weight.permute(0, 2, 3, 1).reshape(outputs, 9, channels)
    kernels = scratch.take("kernels", weight, outputs, 16, channels)
    torch.bmm(_KERNEL.to(weight).expand(outputs, 16, 9), weights, out=kernels)
    return kernels.transpose(0, 1)


def _patches(pixels: Tensor, rows: int, columns: int, scratch: Scratch) -> Tensor:
    """(b, height, width, channels) → (16, b · rows · columns, channels)."""
    b, height, width, channels = pixels.shape
    border = (0, 0, 1, 2 * columns + 1 - width, 1, 2 * rows + 1 - height)
    bordered = pad(pixels, border)
    lines = scratch.take("lines", pixels, 4, b, rows, 2 * columns + 2, channels)
    _differences(*(bordered[:, y : y + 2 * rows : 2] for y in range(4)), *lines)
    patches = scratch.take("patches", pixels, 4, 4, b, rows, columns, channels)
    met = (lines[:, :, :, x : x + 2 * columns : 2] for x in range(4))
    _differences(*met, *patches.unbind(1))
    return patches.view(16, -1, channels)


def _bordered(patches: Tensor, rows: int, columns: int, channels: int) -> Tensor:
    """(16, b · rows · columns · channels) → (b, 2 · rows + 2, 2 · columns + 2, channels).

    Sums, where patches overlap.
    """
    pairs = patches.view(2, 2, 2, 2, -1, rows, columns, channels).permute(0, 2, 4, 5, 1, 6, 3, 7)
    sums = patches.new_zeros(pairs.shape[2], rows + 1, 2, columns + 1, 2, channels)
    for y in range(2):
        for x in range(2):
            sums[:, y : y + rows, :, x : x + columns] += pairs[y, x]
    return sums.view(-1, 2 * rows + 2, 2 * columns + 2, channels)


def _differences(
    a: Tensor, b: Tensor, c: Tensor, d: Tensor, p: Tensor, q: Tensor, r: Tensor, s: Tensor
) -> None:
    """``_OF_PATCH`` times a, b, c, d → p, q, r, s."""
    torch.sub(a, c, out=p)
    torch.add(b, c, out=q)
    torch.sub(c, b, out=r)
    torch.sub(b, d, out=s)
