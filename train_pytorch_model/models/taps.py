"""Convolutions of images of few pixels as products of matrices, one for each tap of the kernel.

A tap is a place in a kernel, with its weights. A kernel of 3x3 on an image of 2x2 with a border of
one pixel has 36 products of a tap and a pixel to sum, of which 20 are with the border. PyTorch
(oneDNN) computes those too, and first puts the weights into an order of its own, forwards and
backwards in each step; with few pixels that takes longer than the products. Here weights lie in
memory tap by tap, as they are multiplied, and nothing is multiplied with the border. A ResNet-18
that is given images of 28 or 32 pixels gives 2x2 of them in four of its convolutions.
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
"""Products pay with so many channels, in and out, for each pixel that is given. That was found by
comparing, as ``benchmarks.layers`` does, images of 2x2 to 7x7 pixels, 32 to 512 channels and
batches of 4 to 64."""


def multiply_taps(
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
            conv.meetings = {size: meetings_of(conv, size) for size in inputs[name]}
            by_tap = conv.weight.detach().permute(2, 3, 1, 0).contiguous()
            conv.weight = nn.Parameter(by_tap.permute(3, 2, 0, 1))


@dataclass(frozen=True)
class Meetings:
    """Where the taps of a kernel lie on the pixels of an image.

    Attributes:
        given: the (rows, columns) of what the convolution gives.
        pixels: (n,) int64: of each meeting of a tap and a pixel, which pixel of the image it is.
        places: (n,) int64: and which of what is given it is a part of.
        of_pixels: (height · width, n): 1 where a meeting is of that pixel, else 0.
        of_places: (rows · columns, n): 1 where it is a part of that one, else 0.
        products: taps that have as many meetings each, and the meetings of them all.
        whole: whether each tap has one.
    """

    given: Size
    pixels: Tensor
    places: Tensor
    of_pixels: Tensor
    of_places: Tensor
    products: Sequence[tuple[slice, slice]]
    whole: bool


def meetings_of(conv: nn.Conv2d, size: Size) -> Meetings:
    """Those of a convolution, whose border is of zeros, and an image of (height, width)."""
    (rows, vertical), (columns, horizontal) = (_along(conv, axis, size[axis]) for axis in (0, 1))
    met = defaultdict(list)
    for (y, pixel_y, place_y), (x, pixel_x, place_x) in product(vertical, horizontal):
        pixel, place = pixel_y * size[1] + pixel_x, place_y * columns + place_x
        met[y * conv.kernel_size[1] + x].append((pixel, place))
    both: list[tuple[int, int]] = []
    products = []
    in_order = sorted(met, key=lambda tap: (len(met[tap]), tap))
    for _, alike in groupby(in_order, lambda tap: len(met[tap])):
        for taps in _evenly_spaced([*alike]):
            first = len(both)
            both += [meeting for tap in range(taps.stop)[taps] for meeting in met[tap]]
            products.append((taps, slice(first, len(both))))
    pixels, places = torch.tensor(both, dtype=torch.int64).view(-1, 2).t().contiguous()
    return Meetings(
        given=(rows, columns),
        pixels=pixels,
        places=places,
        of_pixels=_sums(pixels, size[0] * size[1], conv.weight),
        of_places=_sums(places, rows * columns, conv.weight),
        products=products,
        whole=len(met) == conv.kernel_size[0] * conv.kernel_size[1],
    )


def outputs_of(images: Tensor, by_tap: Tensor, meetings: Meetings) -> Tensor:
    """What a convolution gives.

    Args:
        images: (b, channels, height, width), of floats.
        by_tap: its weights, (taps, channels, outputs), of the same dtype.
        meetings: of its taps and such images.

    Returns:
        (b, outputs, rows, columns), the images of a pixel side by side, and their outputs.
    """
    (rows, columns), b, outputs = meetings.given, len(images), by_tap.shape[2]
    met = _pixels(images).index_select(0, meetings.pixels)
    products = images.new_empty(len(met), b, outputs)
    for taps, those in meetings.products:
        weights = by_tap[taps]
        pixels, into = (_parts(tensor[those], len(weights)) for tensor in (met, products))
        torch.bmm(pixels, weights, out=into)
    sums = meetings.of_places @ products.flatten(1)
    return sums.view(rows, columns, b, outputs).permute(2, 3, 0, 1)


def gradients(
    images: Tensor, by_tap: Tensor, meetings: Meetings, gradient: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients of the images and of the weights.

    Args:
        images: as ``outputs_of`` took them.
        by_tap: as ``outputs_of`` took it.
        meetings: as ``outputs_of`` took them.
        gradient: of what ``outputs_of`` gave.

    Returns:
        Of the shapes of ``images`` and ``by_tap``.
    """
    b, channels, height, width = images.shape
    met = _pixels(images).index_select(0, meetings.pixels)
    given = _pixels(gradient).index_select(0, meetings.places)
    of_met = torch.empty_like(met)
    of_weights = torch.empty_like(by_tap) if meetings.whole else torch.zeros_like(by_tap)
    for taps, those in meetings.products:
        weights = by_tap[taps]
        pixels, into, factors = (_parts(each[those], len(weights)) for each in (met, of_met, given))
        torch.bmm(factors, weights.transpose(1, 2), out=into)
        torch.bmm(pixels.transpose(1, 2), factors, out=of_weights[taps])
    sums = meetings.of_pixels @ of_met.flatten(1)
    return sums.view(height, width, b, channels).permute(2, 3, 0, 1), of_weights


class _Conv2d(nn.Conv2d):
    """A convolution whose weights lie in memory tap by tap."""

    layout: torch.memory_format
    meetings: Mapping[Size, Meetings]

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, height, width) → (b, outputs, rows, columns)."""
        meetings = self.meetings[images.shape[2], images.shape[3]]
        given: Tensor = _Convolution.apply(images, self.weight, self.bias, meetings, self.layout)
        return given


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        meetings: Meetings,
        layout: torch.memory_format,
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.meetings, ctx.layout = meetings, layout
        given = outputs_of(images, _by_tap(weight), meetings)
        if bias is not None:
            given += bias[:, None, None]
        # Always a copy: an activation may write into it, which it may not into a view.
        return given.clone(memory_format=layout)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        of_images, of_taps = gradients(images, _by_tap(weight), ctx.meetings, gradient)
        of_weight = of_taps.view(*weight.shape[2:], *of_taps.shape[1:]).permute(3, 2, 0, 1)
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images.contiguous(memory_format=ctx.layout), of_weight, of_bias, None, None


def _gains(conv: nn.Conv2d, inputs: set[Size]) -> bool:
    """Whether it takes less time: with a kernel of more than one pixel, on few."""
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    if not zeros or conv.groups > 1 or max(conv.kernel_size) == 1:
        return False
    few = min(conv.in_channels, conv.out_channels) // _CHANNELS
    return all(_along(conv, 0, size[0])[0] * _along(conv, 1, size[1])[0] <= few for size in inputs)


def _along(conv: nn.Conv2d, axis: int, length: int) -> tuple[int, list[tuple[int, int, int]]]:
    """How many pixels a convolution gives along an axis, and each (tap, pixel, place) there."""
    taps, stride, dilation = conv.kernel_size[axis], conv.stride[axis], conv.dilation[axis]
    border = int(conv.padding[axis])
    count = (length + 2 * border - dilation * (taps - 1) - 1) // stride + 1
    lie_on = [
        (tap, place * stride + tap * dilation - border, place)
        for tap, place in product(range(taps), range(count))
    ]
    return count, [meeting for meeting in lie_on if 0 <= meeting[1] < length]


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


def _parts(met: Tensor, taps: int) -> Tensor:
    """(n, b, values) → (taps, n / taps · b, values): the meetings of each tap."""
    return met.view(taps, -1, met.shape[2])


def _by_tap(weight: Tensor) -> Tensor:
    """(outputs, channels, rows, columns) → (taps, channels, outputs)."""
    return weight.permute(2, 3, 1, 0).flatten(0, 1)
