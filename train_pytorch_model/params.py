"""The five parameters of Train PyTorch Model: their one declaration.

The command line, ``module_spec.yaml``, ``module_spec.classic.yaml`` and the table in the README
are made from the fields of ``TrainingParams``. Names, types, defaults and ranges are those of the
designer's module of the same name.
"""

import hashlib
from dataclasses import dataclass, field, fields
from typing import Any

from train_pytorch_model.component import (
    DOUBLE_EPSILON,
    INT32_MAX,
    Parameter,
    problem,
    raise_if_any,
)


def _parameter(default: Any, **known: Any) -> Any:
    return field(default=default, metadata=known)


@dataclass(frozen=True)
class TrainingParams:
    """The parameters of one training run. Ill-typed or out-of-range values raise ParameterError."""

    epochs: int = _parameter(
        5,
        minimum=1,
        maximum=INT32_MAX,
        help="How many times to pass over the training images.",
    )
    batch_size: int = _parameter(
        16,
        minimum=1,
        maximum=INT32_MAX,
        help="How many images to train on at once.",
    )
    learning_rate: float = _parameter(
        0.001,
        minimum=DOUBLE_EPSILON,
        help="The initial learning rate of stochastic gradient descent.",
    )
    random_seed: int = _parameter(
        1,
        help="The seed of everything random; the same seed gives the same model.",
    )
    patience: int = _parameter(
        3,
        minimum=1,
        maximum=INT32_MAX,
        help="Stop after this many consecutive epochs whose validation loss did not decrease.",
    )

    def __post_init__(self) -> None:
        values = {p.name: getattr(self, p.name) for p in PARAMETERS}
        raise_if_any([problem(p, values[p.name], repr(values[p.name])) for p in PARAMETERS])


PARAMETERS: tuple[Parameter, ...] = tuple(
    Parameter(
        name=f.name,
        flag="--" + f.name.replace("_", "-"),
        type=f.type,  # type: ignore[arg-type]  # dataclasses type a field's type loosely
        default=f.default,  # type: ignore[arg-type]  # and its default
        **f.metadata,
    )
    for f in fields(TrainingParams)
)


def seed_of_64_bits(seed: int) -> int:
    """The seed that generators take, 0 … 2⁶⁴ - 1: ``seed`` itself, or its hash if it is not one."""
    if 0 <= seed < 2**64:
        return seed
    return int.from_bytes(hashlib.sha256(hex(seed).encode()).digest()[:8], "little")
