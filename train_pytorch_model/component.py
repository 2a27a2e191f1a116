"""What a component of a pipeline is: its ports, its parameters, and how it is called.

Each component is declared once, as a ``Component``. Its command line, both of its specs and its
tables in the documentation are made from that.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train_pytorch_model.errors import ParameterError, shortened

INT32_MAX = 2**31 - 1
"""The largest value of the designer's ``Int`` parameters."""

DOUBLE_EPSILON = 5e-324
"""The smallest positive double, .NET's ``double.Epsilon``."""

Value = bool | int | float | str

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Port:
    """An input or output: a directory, or a file, of a type that the designer knows.

    ``flag`` is the original's; ``type`` the designer's (``ImageDirectory``, ``AnyFile``, …).
    """

    name: str
    flag: str
    type: str
    help: str
    optional: bool = False


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter.

    ``name`` is its name in a spec, ``flag`` the command line's. ``minimum`` and ``maximum`` are
    inclusive; None is no bound. ``choices`` are all the values of a text. ``absent`` is what a
    command line without the flag means, where that is not the default: the specs always give it.
    """

    name: str
    flag: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    help: str
    minimum: int | float | None = None
    maximum: int | float | None = None
    choices: tuple[str, ...] = ()
    absent: Value | None = None

    @property
    def without_flag(self) -> Value:
        """Its value on a command line that does not give it."""
        return self.default if self.absent is None else self.absent

    @property
    def expected(self) -> str:
        """The values it takes, in words."""
        if self.type is bool:
            return "True or False"
        if self.type is str:
            return f"one of {', '.join(self.choices)}"
        noun = "an integer" if self.type is int else "a finite number"
        if self.minimum is None:
            return noun
        if self.maximum is None:
            return f"{noun} of at least {self.minimum}"
        return f"{noun} from {self.minimum} to {self.maximum}"


@dataclass(frozen=True)
class Component:
    """A step of a pipeline.

    Attributes:
        name: its name in a workspace.
        title: its name for people.
        category: where the designer lists it.
        description: what it does, in a sentence or two.
        documentation: the address of a page that says more.
        module: what ``python -m`` runs.
        inputs, outputs: its ports.
        parameters: what its specs and its command line take.
        settings: what its command line takes besides; the defaults need no thought.
        original: whether the designer had a module of this title.
    """

    name: str
    title: str
    category: str
    description: str
    documentation: str
    module: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: tuple[Parameter, ...] = ()
    settings: tuple[Parameter, ...] = ()
    original: bool = True

    @property
    def ports(self) -> tuple[Port, ...]:
        """The inputs and the outputs."""
        return (*self.inputs, *self.outputs)


DEVICE = Parameter(
    name="device",
    flag="--device",
    type=str,
    default="auto",
    choices=("auto", "cpu", "cuda"),
    help="Where to compute; auto takes the GPU where there is one.",
)

PRIVATE_URLS = Parameter(
    name="private_urls",
    flag="--private-urls",
    type=bool,
    default=False,
    help="Whether images are also fetched from addresses that are not of the public internet, "
    "where a coco_url of the directory leads there.",
)


def parse(parameters: Iterable[Parameter], texts: Mapping[str, str]) -> dict[str, Any]:
    """The values written in ``texts``, by name; a name that is absent means ``without_flag``.

    Raises:
        ParameterError: naming every value that is not of its type or out of range, all at once.
    """
    declared = tuple(parameters)
    given = [p for p in declared if p.name in texts]
    values = {p.name: _value(p, texts[p.name].strip()) for p in given}
    raise_if_any([problem(p, values[p.name], repr(texts[p.name])) for p in given])
    return {p.name: values.get(p.name, p.without_flag) for p in declared}


def _value(parameter: Parameter, text: str) -> Value | None:
    """What ``text`` writes, or None where it writes nothing of the parameter's type."""
    if parameter.type is str:
        return text.strip("'\"")  # a launcher may quote what the command has in quotes already
    if parameter.type is bool:
        return _TRUTH.get(text.lower())
    pattern = _INTEGER if parameter.type is int else _NUMBER
    if not pattern.fullmatch(text):
        return None
    try:
        return parameter.type(text)
    except ValueError:  # more digits than Python reads (sys.get_int_max_str_digits)
        return None


def problem(parameter: Parameter, value: object, found: str) -> tuple[str, str] | None:
    """What is wrong with ``value``: the designer's code and a sentence that quotes ``found``.

    None if nothing is. Ill-typed and non-finite values are 0002, too small 0005, too large 0007.
    """
    sentence = f"{parameter.name} is {shortened(found)}, expected {parameter.expected}"
    if parameter.type in (bool, str):
        right = isinstance(value, parameter.type) and value in (parameter.choices or (True, False))
        return None if right else ("0002", sentence)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "0002", sentence
    if isinstance(value, float) and (parameter.type is int or not math.isfinite(value)):
        return "0002", sentence
    if parameter.minimum is not None and value < parameter.minimum:
        return "0005", sentence
    if parameter.maximum is not None and value > parameter.maximum:
        return "0007", sentence
    return None


def raise_if_any(problems: Sequence[tuple[str, str] | None]) -> None:
    """Raise a ParameterError of all that ``problem`` has found, if it has found any."""
    found = [item for item in problems if item is not None]
    if found:
        sentences = "; ".join(sentence for _, sentence in found)
        raise ParameterError(f"{sentences}. Correct and run again.", code=found[0][0])
