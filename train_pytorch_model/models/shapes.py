"""What shapes the layers of a network give, without computing anything."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Size = tuple[int, int]


class ShapesAlone(TorchFunctionMode):
    """A forward pass on the device ``meta`` does not load the compiler for common layers.

    PyTorch decomposes these functions there, for which it loads ``torch.compile`` or its algebra:
    two seconds and 100 MB.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or make what it would return."""
        made = _MADE[func](*args, **(kwargs or {})) if func in _MADE else None
        return func(*args, **(kwargs or {})) if made is None else made


# Each takes what the function takes, and gives None where PyTorch is to say what is wrong.


def _batch_norm(images: Tensor, *_: object, training: bool, **__: object) -> Tensor:
    if training and images.numel() == images.shape[1]:
        raise ValueError("Expected more than 1 value per channel")
    return images.new_empty(images.shape)


def _linear(values: Tensor, weight: Tensor, *_: object) -> Tensor:
    return values.new_empty((*values.shape[:-1], len(weight)))


def _adaptive_avg_pool2d(images: Tensor, size: int | Sequence[int]) -> Tensor:
    return images.new_empty((*images.shape[:-2], *_pair(size)))


def _cat(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    shape = list(parts[0].shape)
    shape[dim] = sum(part.shape[dim] for part in parts)
    return parts[0].new_empty(shape)


def _mean(values: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return values.sum(*args, **kwargs)  # of the same shape


def _added_in_place(values: Tensor, *_: object) -> Tensor:
    return values


def _conv2d(
    images: Tensor,
    weight: Tensor,
    _: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor | None:
    size = _windows(images.shape[-2:], weight.shape[-2:], stride, padding, dilation)
    if size is None or images.shape[-3] != weight.shape[1] * groups:
        return None
    return images.new_empty((*images.shape[:-3], len(weight), *size))


def _max_pool2d(images: Tensor, kernel: int | Sequence[int], **kwargs: Any) -> Tensor | None:
    geometry = (kwargs["stride"], kwargs["padding"], kwargs["dilation"])
    size = _windows(images.shape[-2:], _pair(kernel), *map(_pair, geometry))
    if size is None or kwargs["ceil_mode"]:
        return None
    return images.new_empty((*images.shape[:-2], *size))


_MADE: dict[Callable[..., Any], Callable[..., Tensor | None]] = {
    functional.batch_norm: _batch_norm,
    functional.linear: _linear,
    functional.adaptive_avg_pool2d: _adaptive_avg_pool2d,
    functional.conv2d: _conv2d,
    functional.max_pool2d: _max_pool2d,
    torch.cat: _cat,
    Tensor.mean: _mean,
    Tensor.__iadd__: _added_in_place,
    Tensor.add_: _added_in_place,
}


def _pair(value: int | Sequence[int]) -> Sequence[int]:
    return (value, value) if isinstance(value, int) else value


def _windows(
    size: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> list[int] | None:
    """How many windows there are along each axis; None where there is no room for one."""
    rooms = [
        n + 2 * p - d * (k - 1) - 1
        for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)
    ]
    if min(rooms) < 0:
        return None
    return [room // step + 1 for room, step in zip(rooms, stride, strict=True)]


def input_sizes(skeleton: nn.Module, sizes: Iterable[Size]) -> Mapping[str, set[Size]]:
    """What size the inputs of a network's convolutions have.

    Args:
        skeleton: the network, on the device ``meta``.
        sizes: (height, width) of all images that it will be given.

    Returns:
        Name of each convolution → the (height, width) of all that it is given.
    """
    found: dict[str, set[Size]] = defaultdict(set)
    hooks = [
        module.register_forward_pre_hook(_Note(found[name]))
        for name, module in skeleton.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    skeleton.eval()
    with torch.no_grad(), ShapesAlone():
        for height, width in sizes:
            skeleton(torch.empty(1, 3, height, width, device="meta"))
    for hook in hooks:
        hook.remove()
    return {name: inputs for name, inputs in found.items() if inputs}


class _Note:
    """A hook that notes the size of what a module is given."""

    def __init__(self, sizes: set[Size]) -> None:
        self._sizes = sizes

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        height, width = inputs[0].shape[2:]
        self._sizes.add((height, width))
