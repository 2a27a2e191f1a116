"""Convolutions that give few pixels, as one product of matrices for each tap of the kernel.

A tap is a place in a kernel, with its weights. A kernel of 3x3 on an image of 2x2 with a border of
one pixel has 36 products of a tap and a pixel to sum, of which 20 are with the border. PyTorch
(oneDNN) computes those too, and first puts the weights into an order of its own, forwards and
backwards in each step; with few pixels that takes longer than the products. Here weights lie in
memory tap by tap, as they are multiplied, and nothing is multiplied with the border. A ResNet-18
that is given images of 28 or 32 pixels gives 2x2 of them in four of its convolutions of 3x3.

Sparse convolutions are computed like this: a kernel map says which pixels meet under which tap;
inputs are gathered by it, multiplied, and summed into the outputs.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from train_pytorch_model.models.shapes import Size

_CHANNELS = 32
"""It pays with so many channels, in and out, for each output pixel. That was found by comparing, as
``benchmarks.layers`` does, images of 2x2 to 7x7 pixels, 32 to 512 channels and batches of 4 to
64."""


def use_kernel_maps(
    net: nn.Module, inputs: Mapping[str, set[Size]], layout: torch.memory_format
) -> None:
    """Have the convolutions of ``net``, in place, that gain by it compute so.

    Args:
        net: a network for images on the CPU.
        inputs: as ``shapes.input_sizes`` gives it for all images that the network will be given.
        layout: of these images.
    """
    for name, module in net.named_modules():
        if type(module) is nn.Conv2d and name in inputs and _gains(module, inputs[name]):
            module.__class__ = _Conv2d  # its hooks and place in the network stay
            conv = cast(_Conv2d, module)
            conv.layout = layout
            conv.kernel_maps = {size: kernel_map(conv, size) for size in inputs[name]}
            by_tap = conv.weight.detach().permute(2, 3, 1, 0).contiguous()
            conv.weight = nn.Parameter(by_tap.permute(3, 2, 0, 1))


@dataclass(frozen=True)
class KernelMap:
    """Which input pixel each tap of a kernel multiplies for which output pixel: ``n`` pairs.

    Attributes:
        output_size: (rows, columns) of what the convolution gives.
        inputs: (n,) int64: the input pixel of each pair; pixels are counted row by row.
        outputs: (n,) int64: the output pixel of each pair.
        input_sums: (height · width, n): 1 where a pair has that input pixel, else 0.
        output_sums: (rows · columns, n): 1 where a pair has that output pixel, else 0.
        products: taps that have as many pairs each, and the pairs of them all.
        every_tap: whether each tap has a pair.
    """

    output_size: Size
    inputs: Tensor
    outputs: Tensor
    input_sums: Tensor
    output_sums: Tensor
    products: Sequence[tuple[slice, slice]]
    every_tap: bool


def kernel_map(conv: nn.Conv2d, size: Size) -> KernelMap:
    """That of a convolution, whose border is of zeros, and an image of (height, width)."""
    (rows, vertical), (columns, horizontal) = (_along(conv, axis, size[axis]) for axis in (0, 1))
    pairs_of = defaultdict(list)
    for (y, input_y, output_y), (x, input_x, output_x) in product(vertical, horizontal):
        pair = (input_y * size[1] + input_x, output_y * columns + output_x)
        pairs_of[y * conv.kernel_size[1] + x].append(pair)
    pairs: list[tuple[int, int]] = []
    products = []
    in_order = sorted(pairs_of, key=lambda tap: (len(pairs_of[tap]), tap))
    for _, alike in groupby(in_order, lambda tap: len(pairs_of[tap])):
        for taps in _evenly_spaced([*alike]):
            first = len(pairs)
            pairs += [pair for tap in range(taps.stop)[taps] for pair in pairs_of[tap]]
            products.append((taps, slice(first, len(pairs))))
    inputs, outputs = torch.tensor(pairs, dtype=torch.int64).view(-1, 2).t().contiguous()
    return KernelMap(
        output_size=(rows, columns),
        inputs=inputs,
        outputs=outputs,
        input_sums=_sums(inputs, size[0] * size[1], conv.weight),
        output_sums=_sums(outputs, rows * columns, conv.weight),
        products=products,
        every_tap=len(pairs_of) == conv.kernel_size[0] * conv.kernel_size[1],
    )


def outputs_of(images: Tensor, by_tap: Tensor, where: KernelMap) -> Tensor:
    """What a convolution gives.

    Args:
        images: (b, channels, height, width), of floats.
        by_tap: its weights, (taps, channels, outputs), of the same dtype.
        where: its kernel map for such images.

    Returns:
        (b, outputs, rows, columns), the images of a pixel side by side, and their outputs.
    """
    (rows, columns), b, channels = where.output_size, len(images), by_tap.shape[2]
    inputs = _pixels(images).index_select(0, where.inputs)
    products = images.new_empty(len(inputs), b, channels)
    for taps, pairs in where.products:
        weights = by_tap[taps]
        factors, into = (_batched(tensor[pairs], len(weights)) for tensor in (inputs, products))
        torch.bmm(factors, weights, out=into)
    sums = where.output_sums @ products.flatten(1)
    return sums.view(rows, columns, b, channels).permute(2, 3, 0, 1)


def gradients(
    images: Tensor, by_tap: Tensor, where: KernelMap, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of the images and of the weights.

    Args:
        images: as ``outputs_of`` took them.
        by_tap: as ``outputs_of`` took it.
        where: as ``outputs_of`` took it.
        gradient: of what ``outputs_of`` gave.

    Returns:
        Of the shapes of ``images`` and ``by_tap``.
    """
    b, channels, height, width = images.shape
    inputs = _pixels(images).index_select(0, where.inputs)
    of_outputs = _pixels(gradient).index_select(0, where.outputs)
    of_inputs = torch.empty_like(inputs)
    of_weights = torch.empty_like(by_tap) if where.every_tap else torch.zeros_like(by_tap)
    for taps, pairs in where.products:
        weights = by_tap[taps]
        factors, into, slopes = (
            _batched(tensor[pairs], len(weights)) for tensor in (inputs, of_inputs, of_outputs)
        )
        torch.bmm(slopes, weights.transpose(1, 2), out=into)
        torch.bmm(factors.transpose(1, 2), slopes, out=of_weights[taps])
    sums = where.input_sums @ of_inputs.flatten(1)
    return sums.view(height, width, b, channels).permute(2, 3, 0, 1), of_weights


class _Conv2d(nn.Conv2d):
    """A convolution whose weights lie in memory tap by tap."""

    layout: torch.memory_format
    kernel_maps: Mapping[Size, KernelMap]

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, height, width) → (b, outputs, rows, columns)."""
        where = self.kernel_maps[images.shape[2], images.shape[3]]
        outputs: Tensor = _Convolution.apply(images, self.weight, self.bias, where, self.layout)
        return outputs


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        where: KernelMap,
        layout: torch.memory_format,
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.where, ctx.layout = where, layout
        outputs = outputs_of(images, _by_tap(weight), where)
        if bias is not None:
            outputs += bias[:, None, None]
        # Always a copy: an activation may write into it, which it may not into a view.
        return outputs.clone(memory_format=layout)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        of_images, of_taps = gradients(images, _by_tap(weight), ctx.where, gradient)
        of_weight = of_taps.view(*weight.shape[2:], *of_taps.shape[1:]).permute(3, 2, 0, 1)
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images.contiguous(memory_format=ctx.layout), of_weight, of_bias, None, None


def _gains(conv: nn.Conv2d, inputs: set[Size]) -> bool:
    """Whether it takes less time: with a kernel of more than one pixel, for few output pixels."""
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    if not zeros or conv.groups > 1 or max(conv.kernel_size) == 1:
        return False
    few = min(conv.in_channels, conv.out_channels) // _CHANNELS
    return all(_along(conv, 0, size[0])[0] * _along(conv, 1, size[1])[0] <= few for size in inputs)


def _along(conv: nn.Conv2d, axis: int, length: int) -> tuple[int, list[tuple[int, int, int]]]:
    """How many pixels a convolution gives along an axis, and each (tap, input, output) there."""
    taps, stride, dilation = conv.kernel_size[axis], conv.stride[axis], conv.dilation[axis]
    border = int(conv.padding[axis])
    count = (length + 2 * border - dilation * (taps - 1) - 1) // stride + 1
    with_border = [
        (tap, output * stride + tap * dilation - border, output)
        for tap, output in product(range(taps), range(count))
    ]
    return count, [triple for triple in with_border if 0 <= triple[1] < length]


def _evenly_spaced(numbers: list[int]) -> Iterator[slice]:
    """Slices that have the rising numbers among them, each in one."""
    while numbers:
        step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
        stop = numbers[0]
        while stop in numbers:
            stop += step
        yield slice(numbers[0], stop, step)
        numbers = [number for number in numbers if number not in range(numbers[0], stop, step)]


def _sums(indices: Tensor, count: int, like: Tensor) -> Tensor:
    """(n,) → (count, n): 1 where an index is that of the row."""
    return (indices == torch.arange(count)[:, None]).to(like)


def _pixels(images: Tensor) -> Tensor:
    """(b, channels, height, width) → (height · width, b, channels)."""
    return images.permute(2, 3, 0, 1).flatten(0, 1)


def _batched(pairs: Tensor, taps: int) -> Tensor:
    """(n, b, values) → (taps, n / taps · b, values): the pairs of each tap."""
    return pairs.view(taps, -1, pairs.shape[2])


def _by_tap(weight: Tensor) -> Tensor:
    """(outputs, channels, rows, columns) → (taps, channels, outputs)."""
    return weight.permute(2, 3, 1, 0).flatten(0, 1)
