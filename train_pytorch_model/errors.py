"""The errors that a user can mend, each with its name and code in the designer.

::

    UserError                            2000   anything else the user can mend
    ├── ParameterError                   0002   a parameter is not of its type
    │                                    0005   … is below its minimum
    │                                    0007   … is above its maximum
    ├── InvalidDatasetError              0018   an image directory cannot be used
    ├── NotLabeledDatasetError           0024   an image directory has no labels
    ├── StorageTimeoutError              0072   the storage does not answer
    ├── UnableToDeserializeModelError    0082   a file of weights is not the model's
    ├── OutOfMemoryError                 0138   the data or a batch does not fit
    ├── InvalidTransformationDirectoryError
    │                                    0158   a directory holds no transformation of images
    ├── InvalidModelDirectoryError       0159   a model directory is not a PyTorch model
    ├── FailedToWriteOutputsError        0160   the output cannot be written
    ├── FailedToDownloadFilesError       0162   a file cannot be fetched
    └── DivergedError                    2000   the loss is no longer a finite number

Codes are those of the designer's error list, and so are most names: it calls 0072 TimeoutOccured,
0138 ModuleOutOfMemory, and 0002, 0005 and 0007 by three names of their own. The command line prints
one as one line and exits with 1; any other exception is a bug of ours and keeps its traceback.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

MAX_EXAMPLES = 10


class UserError(Exception):
    """An error that the user can mend; its message says which input, what was found and what to do.

    Args:
        message: the sentence for the user. Text from the input may stand in it as it is: line
            breaks and control characters are escaped when it is printed.
        code: the designer's error code, where it is not the class's own.
    """

    default_code: ClassVar[str] = "2000"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.default_code

    def __str__(self) -> str:
        """``NameOfTheError (code): message``, on one line and printable."""
        message = printable(str(self.args[0]))
        return f"{type(self).__name__} ({self.code}): {message}"


class ParameterError(UserError):
    """One or more parameters are ill-typed or out of range."""

    default_code = "0002"


class InvalidDatasetError(UserError):
    """An image directory is damaged, or training and validation do not belong together."""

    default_code = "0018"


class NotLabeledDatasetError(UserError):
    """An image directory has no labels to train from."""

    default_code = "0024"


class StorageTimeoutError(UserError):
    """The storage of an input, or of a checkpoint, has not answered for a long time."""

    default_code = "0072"


class UnableToDeserializeModelError(UserError):
    """A file of weights cannot be read, or holds those of another network."""

    default_code = "0082"


class OutOfMemoryError(UserError):
    """The images or one training step do not fit in memory."""

    default_code = "0138"


class InvalidTransformationDirectoryError(UserError):
    """A transformation directory does not hold operations on images that this component knows."""

    default_code = "0158"


class InvalidModelDirectoryError(UserError):
    """A model directory does not hold a PyTorch model that this component knows."""

    default_code = "0159"


class FailedToWriteOutputsError(UserError):
    """The output directory cannot be written."""

    default_code = "0160"


class FailedToDownloadFilesError(UserError):
    """A published file cannot be fetched."""

    default_code = "0162"


class DivergedError(UserError):
    """The loss became infinite or not a number."""


def together(*actions: Callable[[], Any]) -> list[Any]:
    """What each action returns, in order; what is wrong with several of them is told at once.

    Raises:
        UserError: the one that an action raises; of several, one of the first's class and code
            whose message holds all of theirs.
    """
    results: list[Any] = []
    errors: list[UserError] = []
    for action in actions:
        try:
            results.append(action())
        except UserError as error:
            errors.append(error)
    if errors:
        raise joined(errors)
    return results


def joined(errors: Sequence[UserError]) -> UserError:
    """``errors`` as one, of the first's class and code, whose message holds all of theirs."""
    first, *others = errors
    if not others:
        return first
    return type(first)(" Also, ".join(str(error.args[0]) for error in errors), first.code)


def printable(text: str) -> str:
    """``text`` with every line break, control character and lone surrogate written as an escape.

    Messages quote names found in the input, and the input is a stranger's: a name must not end the
    line, move a terminal's cursor or fail to encode.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def examples(items: Sequence[str], limit: int = MAX_EXAMPLES) -> str:
    """The first ``limit`` of ``items``, and how many more there are: ``a; b; … and 3 more``."""
    shown = "; ".join(items[:limit])
    more = len(items) - limit
    return f"{shown}; … and {more:,} more" if more > 0 else shown


def quoted(names: Sequence[str]) -> str:
    """Like ``examples``, for names from the input: each in quotes and cut to 80 characters."""
    return examples([repr(shortened(name)) for name in names])


def shortened(text: str, length: int = 80) -> str:
    """``text``, or its beginning and its length where it is longer than ``length`` characters."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


class Problems:
    """What is wrong with one input: how many problems there are, and the first ten of them.

    A reader goes on after a problem, so that its user hears of all at once; only the first ten
    are kept, so that an input made of nothing else does not fill the memory.
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []

    def add(self, problem: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.first) < MAX_EXAMPLES:
            self.first.append(problem)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        """``2 problems: a; b``."""
        noun = "problem" if self.count == 1 else "problems"
        more = self.count - len(self.first)
        rest = f"; … and {more:,} more" if more else ""
        return f"{self.count:,} {noun}: {'; '.join(self.first)}{rest}"


def scalar(value: object) -> str:
    """``value`` for a message: a text or number in quotes and cut, of anything else its kind.

    A list or mapping is not written out: YAML's aliases let a small file hold a huge one.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return shortened(repr(value))
    return f"a {type(value).__name__}"
