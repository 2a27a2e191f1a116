"""What shapes the layers of a network give, without computing anything."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class ShapesAlone(TorchFunctionMode):
    """A forward pass on the device ``meta`` does not load the compiler for common layers.

    PyTorch decomposes these functions there, for which it loads ``torch.compile``: two seconds.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, or make what it would return."""
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            if kwargs["training"] and args[0].numel() == args[0].shape[1]:
                raise ValueError("Expected more than 1 value per channel")
            return torch.empty_like(args[0])
        if func is functional.linear:
            return args[0].new_empty((*args[0].shape[:-1], len(args[1])))
        if func is functional.adaptive_avg_pool2d:
            height, width = args[1] if isinstance(args[1], tuple) else (args[1], args[1])
            return args[0].new_empty((*args[0].shape[:-2], height, width))
        if func is torch.cat:
            parts, axis = args[0], kwargs.get("dim", args[-1])
            shape = list(parts[0].shape)
            shape[axis] = sum(part.shape[axis] for part in parts)
            return parts[0].new_empty(shape)
        if func is Tensor.mean:
            func = Tensor.sum  # of the same shape
        return func(*args, **kwargs)
