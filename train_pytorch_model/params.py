"""The five parameters of the component: their one declaration.

The command line, ``module_spec.yaml``, ``module_spec.classic.yaml`` and the table in the README
are made from the fields of ``TrainingParams``. Names, types, defaults and ranges are those of the
designer's module of the same name.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from train_pytorch_model.errors import ParameterError, shortened

INT32_MAX = 2**31 - 1
"""The largest value of the designer's ``Int`` parameters."""

DOUBLE_EPSILON = 5e-324
"""The smallest positive double, .NET's ``double.Epsilon``."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter.

    ``name`` is its name in a spec; its flag is the same with hyphens. ``minimum`` and ``maximum``
    are inclusive; None is no bound.
    """

    name: str
    type: type[int] | type[float]
    default: int | float
    minimum: int | float | None
    maximum: int | float | None
    help: str

    @property
    def flag(self) -> str:
        """The command line's flag: ``--batch-size``."""
        return "--" + self.name.replace("_", "-")

    @property
    def expected(self) -> str:
        """The values it takes, in words."""
        noun = "an integer" if self.type is int else "a finite number"
        if self.minimum is None:
            return noun
        if self.maximum is None:
            return f"{noun} of at least {self.minimum}"
        return f"{noun} from {self.minimum} to {self.maximum}"


def _parameter(
    default: Any,
    *,
    help: str,
    minimum: int | float | None = None,
    maximum: int | None = None,
) -> Any:
    return field(
        default=default,
        metadata={"help": help, "minimum": minimum, "maximum": maximum},
    )


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
        _raise_if_any([problem(p, values[p.name], repr(values[p.name])) for p in PARAMETERS])


PARAMETERS: tuple[Parameter, ...] = tuple(
    Parameter(name=f.name, type=f.type, default=f.default, **f.metadata)  # type: ignore[arg-type]  # dataclasses type a field's type and default loosely
    for f in fields(TrainingParams)
)


def parse(texts: Mapping[str, str]) -> TrainingParams:
    """The parameters written in ``texts``, by name; a name that is absent takes its default.

    Raises:
        ParameterError: naming every value that is not of its type or out of range, all at once.
    """
    given = [p for p in PARAMETERS if p.name in texts]
    values = {p.name: _number(p, texts[p.name].strip()) for p in given}
    _raise_if_any([problem(p, values[p.name], repr(texts[p.name])) for p in given])
    return TrainingParams(**values)  # type: ignore[arg-type]  # problem() has checked the types


def _number(parameter: Parameter, text: str) -> int | float | None:
    """The number that ``text`` writes, or None where it writes none of the parameter's type."""
    pattern = _INTEGER if parameter.type is int else _NUMBER
    if not pattern.fullmatch(text):
        return None
    try:
        return parameter.type(text)
    except ValueError:  # more digits than Python reads (sys.get_int_max_str_digits)
        return None


def seed_of_64_bits(seed: int) -> int:
    """The seed that generators take, 0 … 2⁶⁴ - 1: ``seed`` itself, or its hash if it is not one."""
    if 0 <= seed < 2**64:
        return seed
    return int.from_bytes(hashlib.sha256(hex(seed).encode()).digest()[:8], "little")


def problem(parameter: Parameter, value: object, found: str) -> tuple[str, str] | None:
    """What is wrong with ``value``: the designer's code and a sentence that quotes ``found``.

    None if nothing is. Ill-typed and non-finite values are 0002, too small 0005, too large 0007.
    """
    sentence = f"{parameter.name} is {shortened(found)}, expected {parameter.expected}"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "0002", sentence
    if isinstance(value, float) and (parameter.type is int or not math.isfinite(value)):
        return "0002", sentence
    if parameter.minimum is not None and value < parameter.minimum:
        return "0005", sentence
    if parameter.maximum is not None and value > parameter.maximum:
        return "0007", sentence
    return None


def _raise_if_any(problems: Sequence[tuple[str, str] | None]) -> None:
    found = [item for item in problems if item is not None]
    if found:
        sentences = "; ".join(sentence for _, sentence in found)
        raise ParameterError(f"{sentences}. Correct and run again.", code=found[0][0])
