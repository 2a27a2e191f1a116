"""The pickle in a file of weights: what it may name and hold, seen before it is loaded."""

import pickletools
import re
from typing import IO

NAMES = re.compile(
    r"collections OrderedDict"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch(\.storage)? (?!Typed|Untyped)[A-Za-z0-9]+Storage"
)
"""The classes and functions of state dicts, fewer than PyTorch's ``weights_only`` allows.

TypedStorage and UntypedStorage are none of them: called with a number, they make as many values.
"""

MAX_TUPLES = 10
"""Tuples in one another. As the key of a dict, deeper ones can take the stack, and those that are
used twice all time.
"""

MAX_STEPS = 5_000_000
"""Those of EfficientNet-B7, of 1,200 tensors, are 50,000."""


def check_pickle(file: IO[bytes]) -> None:
    """Read one pickle up to its end, without making anything of it.

    Raises:
        ValueError: it names or holds what no state dict does, or it is no pickle.
    """
    stack: list[int | None] = []  # how many tuples lie in one another in each value; None: a mark
    memo: dict[object, int] = {}
    for count, (step, argument, _) in enumerate(pickletools.genops(file)):
        if count > MAX_STEPS:
            raise ValueError(f"its pickle has more than {MAX_STEPS:,} steps")
        if step.name in ("GLOBAL", "INST") and not NAMES.fullmatch(str(argument)):
            raise ValueError(f"its pickle names {argument!r}")
        if step.name.endswith("PUT"):
            memo[argument] = stack[-1] or 0
        if step.name.endswith("GET") and memo[argument]:
            raise ValueError("its pickle holds a tuple twice")
        popped = _popped(stack, step)
        depth = 1 + max(popped, default=0) if "TUPLE" in step.name else 0
        if depth > MAX_TUPLES:
            raise ValueError(f"its pickle holds more than {MAX_TUPLES} tuples in one another")
        stack += [None if kept is pickletools.markobject else depth for kept in step.stack_after]


def _popped(stack: list[int | None], step: pickletools.OpcodeInfo) -> list[int]:
    """Take from ``stack`` what a step takes."""
    start = len(stack) - len(step.stack_before)
    if pickletools.markobject in step.stack_before:
        mark = max(index for index, value in enumerate(stack) if value is None)
        start = mark - step.stack_before.index(pickletools.markobject)
    popped = [value or 0 for value in stack[start:]]
    del stack[start:]
    return popped
