"""TransformationDirectory: the operations that change an image, in their order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train_pytorch_model.errors import (
    InvalidTransformationDirectoryError,
    Problems,
    quoted,
    scalar,
    shortened,
)
from train_pytorch_model.ports.paths import read_inside, reason
from train_pytorch_model.ports.plain_json import load_json
from train_pytorch_model.ports.plain_yaml import load_plain

META = "_meta.yaml"
TRANSFORMS = "_transforms.json"

MAX_BYTES = 1 << 20
MAX_OPERATIONS = 100
"""Operations that a directory may hold; Init Image Transformation writes at most 13."""

_INT32_MAX = 2**31 - 1

_FROM_INIT = "connect the output of Init Image Transformation"


@dataclass(frozen=True)
class Argument:
    """A number that an operation takes, from ``minimum`` to ``maximum``; no default: required."""

    name: str
    type: type[int] | type[float]
    minimum: int
    maximum: int
    default: int | float | None = None

    @property
    def expected(self) -> str:
        """The values it takes, in words."""
        noun = "an integer" if self.type is int else "a number"
        return f"{noun} from {self.minimum} to {self.maximum}"


_SIZE = Argument("size", int, 1, _INT32_MAX)
_DEGREES = Argument("degrees", float, 0, 180)
_HALF = Argument("p", float, 0, 1, default=0.5)

OPERATIONS: Mapping[str, tuple[Argument, ...]] = {
    "Resize": (_SIZE,),
    "CenterCrop": (_SIZE,),
    "Pad": (Argument("padding", int, 0, _INT32_MAX),),
    "ColorJitter": (),
    "Grayscale": (Argument("num_output_channels", int, 1, 3, default=1),),
    "RandomResizedCrop": (_SIZE,),
    "RandomCrop": (_SIZE,),
    "RandomHorizontalFlip": (_HALF,),
    "RandomVerticalFlip": (_HALF,),
    "RandomRotation": (_DEGREES,),
    "RandomAffine": (_DEGREES,),
    "RandomGrayscale": (Argument("p", float, 0, 1, default=0.1),),
    "RandomPerspective": (Argument("distortion_scale", float, 0, 1, default=0.5), _HALF),
}
"""What an operation is called (as in torchvision) → what it takes, in torchvision's order."""


@dataclass(frozen=True)
class Operation:
    """One operation: its name, one of OPERATIONS, and the value of each of its arguments."""

    name: str
    arguments: Mapping[str, int | float]

    @property
    def is_random(self) -> bool:
        """Whether it makes new samples, which is for training alone."""
        return self.name.startswith("Random")


def operation(name: object, given: object) -> Operation:
    """The operation that a directory writes as ``[name, given]``.

    Args:
        name: one of OPERATIONS.
        given: its arguments: by name, in a list, or a number, which is the first.

    Raises:
        ValueError: there is no such operation, or it does not take these; the message says why.
    """
    takes = OPERATIONS.get(name) if isinstance(name, str) else None
    if takes is None:
        raise ValueError(f"{scalar(name)} is unknown, expected one of {', '.join(OPERATIONS)}")
    if isinstance(given, dict):
        named: dict[Any, Any] = given
    else:
        values: list[Any] = given if isinstance(given, list) else [given]
        if len(values) > len(takes):
            raise ValueError(f"{name} has {len(values)} arguments, expected at most {len(takes)}")
        named = dict(zip((argument.name for argument in takes), values, strict=False))
    unknown = named.keys() - {argument.name for argument in takes}
    if unknown:
        known = ", ".join(argument.name for argument in takes) or "none"
        raise ValueError(f"{name} has the arguments {quoted(sorted(unknown))}, expected {known}")
    return Operation(str(name), {a.name: _value(str(name), a, named) for a in takes})


def _value(name: str, argument: Argument, named: Mapping[str, Any]) -> int | float:
    value = named.get(argument.name, argument.default)
    kinds = (int,) if argument.type is int else (int, float)
    if type(value) in kinds and argument.minimum <= value <= argument.maximum:
        return value  # type: ignore[no-any-return]  # it is a number: its type is one of kinds
    found = scalar(value) if argument.name in named else "missing"
    raise ValueError(f"{name} has {argument.name} {found}, expected {argument.expected}")


def read_transformation_directory(root: Path, port: str) -> list[Operation]:
    """The operations that Init Image Transformation has written, ours or the designer's.

    Nothing is imported or unpickled: names are looked up in OPERATIONS.

    Args:
        root: the directory.
        port: the name of the input, for messages.

    Raises:
        InvalidTransformationDirectoryError: it is not such a directory, or is damaged; everything
            that is wrong with its operations is counted and the first ten are named.
    """
    _check_meta(root, port)
    document = _json(_read(root, TRANSFORMS, port), port)
    if not isinstance(document, list) or len(document) > MAX_OPERATIONS:
        found = f"{len(document):,} of them" if isinstance(document, list) else scalar(document)
        raise _invalid(
            port, f"{TRANSFORMS} holds {found}, expected a list of at most {MAX_OPERATIONS}"
        )
    problems = Problems()
    operations = []
    for position, item in enumerate(document, start=1):
        try:
            if not isinstance(item, list) or len(item) != 2:
                raise ValueError("is not a name and its arguments")
            operations.append(operation(*item))
        except ValueError as error:
            problems.add(f"operation {position}: {error}")
    if problems:
        raise _invalid(port, f"{TRANSFORMS} has {problems}")
    return operations


def write_transformation_directory(folder: Path, operations: Sequence[Operation]) -> None:
    """Write ``operations`` into ``folder``, byte for byte as the designer's Init does."""
    rows = [[o.name, _written(o)] for o in operations]
    (folder / TRANSFORMS).write_text(json.dumps(rows, indent=2), "ascii")
    meta = "type: TransformationDirectory\nextension: {}\ntransform_type: Image\n"
    (folder / META).write_text(meta, "ascii")


def _written(operation: Operation) -> object:
    """What differs from the defaults: a number where that is the first argument alone."""
    takes = OPERATIONS[operation.name]
    values = operation.arguments
    changed = {a.name: values[a.name] for a in takes if values[a.name] != a.default}
    first = takes[0].name if takes else ""
    return changed[first] if list(changed) == [first] else changed


def _check_meta(root: Path, port: str) -> None:
    try:
        meta = load_plain(_read(root, META, port))
    except ValueError as error:
        raise _invalid(port, f"{META} is not YAML ({error})") from error
    found = meta if isinstance(meta, dict) else {}
    kind, transform_type = found.get("type"), found.get("transform_type")
    if kind != "TransformationDirectory":
        raise _invalid(
            port, f"{META} has the type {scalar(kind)}, expected 'TransformationDirectory'"
        )
    if transform_type != "Image":
        raise _invalid(
            port,
            f"{META} has the transform_type {scalar(transform_type)}, expected 'Image': it does "
            "not transform images",
        )


def _read(root: Path, name: str, port: str) -> bytes:
    try:
        return read_inside(root, name, MAX_BYTES)
    except OSError as error:
        raise _invalid(port, f"{name} cannot be read ({reason(error)})") from error


def _json(content: bytes, port: str) -> Any:
    try:
        return load_json(content.decode("utf-8-sig"))
    except ValueError as error:
        raise _invalid(port, f"{TRANSFORMS} is not JSON ({shortened(str(error))})") from error


def _invalid(port: str, found: str) -> InvalidTransformationDirectoryError:
    return InvalidTransformationDirectoryError(f"{port}: {found}; {_FROM_INIT}.")
