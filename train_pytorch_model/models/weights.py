"""A state dict → the tensors of one architecture, after every check."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from train_pytorch_model.errors import Problems, scalar

SECOND_HEAD = "out_linear_model."
"""The original's last layer of a pretrained network, 1000 → number of classes."""


def is_head(key: str, head: str) -> bool:
    """Whether the tensor ``key`` belongs to the last layer, or to the two that there are."""
    return key.startswith((f"{head}.", SECOND_HEAD))


def checked_weights(
    state: Mapping[str, Tensor],
    net: nn.Module,
    head: str,
    problems: Problems,
    *,
    prefix: str = "",
    second_head: bool = False,
) -> dict[str, Tensor]:
    """The weights in ``state`` under torchvision's names, each a copy in the type of its layer.

    Args:
        state: a state dict from a file.
        net: the network, its weights on any device; its last layer need not have as many outputs
            as the one in ``state``.
        head: the path of its last layer.
        problems: takes each tensor that is missing, superfluous, of another shape or type than the
            network's, or not finite. If there are any, what is returned is of no use.
        prefix: what the names in ``state`` begin with.
        second_head: whether there may be a second last layer.
    """
    weights: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.startswith((prefix, SECOND_HEAD)):
            weights[key.removeprefix(prefix)] = tensor
        else:
            problems.add(f"{scalar(key)} is not one of its tensors")
    expected = net.state_dict()
    for key, reference in expected.items():
        value = weights.get(key)
        if value is None:
            problems.add(f"{prefix}{key} is missing")
        elif not is_head(key, head) and value.shape != reference.shape:
            found, wanted = list(value.shape), list(reference.shape)
            problems.add(f"{prefix}{key} is of shape {found}, expected {wanted}")
        else:
            weights[key] = _checked_values(prefix + key, value, reference, problems)
    last = expected[f"{head}.weight"]
    second = dict.fromkeys((f"{SECOND_HEAD}weight", f"{SECOND_HEAD}bias"), last)
    for key in sorted(weights.keys() - expected.keys()):
        if second_head and key in second:
            weights[key] = _checked_values(key, weights[key], second[key], problems)
        else:
            problems.add(f"{scalar(key)} is not one of its tensors")
    if not problems:
        outputs = _checked_outputs(weights, f"{head}.", list(last.shape[1:]), problems)
        if any(key in weights for key in second):
            _checked_outputs(weights, SECOND_HEAD, [outputs], problems)
    return weights


def _checked_values(key: str, value: Tensor, reference: Tensor, problems: Problems) -> Tensor:
    """``value`` in the type of ``reference``, if both are integers or both floats and finite."""
    plain = (
        value.layout == torch.strided
        and value.device.type == "cpu"  # a file may hold tensors without values
        and not (value.is_quantized or value.is_complex())
    )
    # A tensor may claim more elements than are in the file, by a stride of 0.
    if not plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        problems.add(f"{key} is not a plain tensor")
    elif value.is_floating_point() != reference.is_floating_point():
        problems.add(f"{key} is of type {value.dtype}, expected {reference.dtype}")
    else:
        # A copy: two names may share one storage, and would be trained as one.
        value = value.detach().to(reference.dtype, copy=True)
        if value.is_floating_point() and not _is_finite(value):
            problems.add(f"{key} has values that are infinite or not a number in {value.dtype}")
        # What is no weight and no counter is a table of positions, which others are looked up by.
        if not value.is_floating_point() and value.dim() and not torch.equal(value, reference):
            problems.add(f"{key} has other values than the architecture's")
    return value


def _is_finite(value: Tensor) -> bool:
    """Whether all of ``value`` is; in a tenth of the time that ``isfinite`` takes, which copies."""
    # What is not a number is both the smallest and the largest.
    return not value.numel() or bool(torch.stack(torch.aminmax(value)).isfinite().all())


def _checked_outputs(
    weights: Mapping[str, Tensor], prefix: str, inputs: list[int], problems: Problems
) -> int:
    """The number n of outputs of a last layer, whose weight is [n, *inputs] and its bias [n]."""
    weight, bias = weights.get(f"{prefix}weight"), weights.get(f"{prefix}bias")
    if weight is None or (bias is None and prefix == SECOND_HEAD):
        problems.add(f"{prefix}weight or {prefix}bias is missing")
        return 0
    outputs = weight.shape[0] if weight.dim() else 0
    sizes = ", ".join(map(str, ["n", *inputs]))
    found, wanted, names = f"{list(weight.shape)}", f"[{sizes}]", f"{prefix}weight"
    right = outputs > 0 and list(weight.shape[1:]) == inputs
    if bias is not None:
        names, found, wanted = (
            f"{names} and {prefix}bias",
            f"{found} and {list(bias.shape)}",
            f"{wanted} and [n]",
        )
        right = right and list(bias.shape) == [outputs]
    if not right:
        problems.add(f"{names} are of shapes {found}, expected {wanted}")
    return outputs
