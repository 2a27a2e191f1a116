"""Gradients of convolutions' weights as products of matrices.

The gradient of a kernel is the product of the gradient of what it gave, a row for each place where
it lay, and of the pixels that it lay on there. On processors without AVX-512 PyTorch (oneDNN 3.13)
computes that at half the pace at which it multiplies matrices, and it is four tenths of a step of a
ResNet-18 on images of 224 pixels. As products, of few images at a time where their pixels then
stay in the cache, it takes 0.6 to 0.9 of the time (``benchmarks.layers``).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, pad

_CHANNELS = 64
"""With fewer, in or out, products gain nothing."""

_PLACES = 3_200
"""Images are multiplied together up to so many rows, one for each place; at least one image is."""

_NARROW = 128
"""With so few outputs the transposed product is faster, or as fast: it took 0.8 to 1 of the time
with 64 and with 128, and 1 with 256."""


def multiply_weight_gradients(net: nn.Module) -> None:
    """Have the convolutions of ``net``, in place, compute the gradients of their weights so.

    Outputs stay the same, and gradients differ by rounding alone. For images on the CPU, the
    channels of whose pixels lie side by side.
    """
    for module in net.modules():
        if type(module) is nn.Conv2d and _gains(module):
            module.__class__ = _Conv2d  # its weights, hooks and place in the network stay


def weight_gradient(
    images: Tensor, gradient: Tensor, edge: int, stride: int, padding: int
) -> Tensor:
    """The gradient of a square kernel's weights.

    Args:
        images: what was convolved, (b, channels, height, width).
        gradient: of what that gave, (b, outputs, rows, columns).
        edge: the kernel's, in pixels.
        stride: along both axes.
        padding: on each side, with zeros.

    Returns:
        (outputs, channels, edge, edge), of the same dtype; the channels of a weight side by side.
    """
    outputs, rows, columns = gradient.shape[1:]
    channels = images.shape[1]
    together = max(1, _PLACES // (rows * columns))
    narrow = outputs <= _NARROW
    if narrow:
        sums = images.new_zeros(edge, edge * channels, outputs)
    else:
        sums = images.new_zeros(outputs, edge, edge * channels).transpose(0, 1)
    parts = (torch.split(tensor, together) for tensor in (images, gradient))
    for part, given in zip(*parts, strict=True):
        lines = pad(part.permute(2, 0, 3, 1), (0, 0, padding, padding, 0, 0, padding, padding))
        places = given.permute(2, 0, 3, 1).reshape(-1, outputs)
        for first in range(min(stride, edge)):
            # (lines, images, columns, edge, channels): a row of the kernel, at each place of a line
            met = torch.stack(
                [lines[first::stride, :, x::stride][:, :, :columns] for x in range(edge)], 3
            )
            for y in range(first, edge, stride):
                below = y // stride
                pixels = met[below : below + rows].reshape(-1, edge * channels)
                factors = (pixels.t(), places) if narrow else (places.t(), pixels)
                sums[y].addmm_(*factors)
    if narrow:
        sums = sums.transpose(1, 2)
    of_weight = sums.view(edge, outputs, edge, channels).permute(1, 3, 0, 2)
    return of_weight.contiguous(memory_format=torch.channels_last)


class _Conv2d(nn.Conv2d):
    """A convolution of the same edge, stride and padding along both axes."""

    def forward(self, images: Tensor) -> Tensor:
        """(b, channels, height, width) → (b, outputs, rows, columns)."""
        padding = int(self.padding[0])
        stride = self.stride[0]
        given: Tensor = _Convolution.apply(images, self.weight, self.bias, stride, padding)
        return given


class _Convolution(torch.autograd.Function):
    """``conv2d`` with another gradient of the weights."""

    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return conv2d(images, weight, bias, stride, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        stride, padding = ctx.stride, ctx.padding
        of_images, _, _ = torch.ops.aten.convolution_backward(
            *(gradient, images, weight, None, [stride] * 2, [padding] * 2, [1, 1]),
            *(False, [0, 0], 1, [ctx.needs_input_grad[0], False, False]),
        )
        of_weight = weight_gradient(images, gradient, weight.shape[2], stride, padding)
        of_bias = gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None
        return of_images, of_weight, of_bias, None, None


def _gains(conv: nn.Conv2d) -> bool:
    square = all(len({*pair}) == 1 for pair in (conv.kernel_size, conv.stride, conv.padding))
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    undivided = conv.groups == 1 and conv.dilation == (1, 1)
    wide = min(conv.in_channels, conv.out_channels) >= _CHANNELS
    return square and zeros and undivided and wide and conv.kernel_size[0] > 1
