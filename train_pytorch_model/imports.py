"""PyTorch and torchvision, imported in less time.

``import torchvision`` imports ``torch._dynamo``, the compiler, for one function of object detection
that asks whether it may be used. That takes longer than all else that a step imports beside torch.
"""

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_ASKED = "torch._dynamo.utils"
_QUESTION = "is_compile_supported"


class _Later(ModuleType):
    """Stands for the module _ASKED until anything but _QUESTION is wanted of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what an import asks of every module
            raise AttributeError(name)
        return _answer if name == _QUESTION else getattr(_module(), name)


def _answer(device: object) -> object:
    """The answer to _QUESTION, when it is asked."""
    return getattr(_module(), _QUESTION)(device)


def _module() -> ModuleType:
    """The module itself."""
    if isinstance(sys.modules.get(_ASKED), _Later):
        del sys.modules[_ASKED]
    return importlib.import_module(_ASKED)


@contextmanager
def lean() -> Iterator[None]:
    """Within the block, _ASKED is not imported for its _QUESTION, and Python looks for no garbage.

    An import makes none; to look for it takes a fifth of the time. What there is then is not looked
    through ever again; where both are imported already, that would keep the garbage that there is.
    """
    if "torchvision" in sys.modules:
        yield
        return
    collected = gc.isenabled()
    gc.disable()
    if _ASKED not in sys.modules:
        sys.modules[_ASKED] = _Later(_ASKED)
    try:
        yield
    finally:
        if isinstance(sys.modules.get(_ASKED), _Later):
            del sys.modules[_ASKED]
        if collected:
            gc.freeze()
            gc.enable()
