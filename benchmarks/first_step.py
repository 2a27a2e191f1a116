"""Runs a module until its first training step: ``python -m benchmarks.first_step MODULE WORDS…``.

The process ends with 0 where the optimiser is to change the weights for the first time. It runs in
the environment of either side (Python 3.9 is enough), and changes nothing before that: the module
imports torch itself, when and as it wants to.
"""

import os
import runpy
import sys
from typing import Any


def end(*_: object, **__: object) -> None:
    """In place of the step: leave, without waiting for what runs beside."""
    sys.stdout.flush()
    os._exit(0)


class AtTheOptimiser:
    """Finds no module, and is asked for each: puts ``end`` in its place once SGD is there."""

    def find_spec(self, *_: object) -> None:
        """Of the first module that is imported after SGD."""
        optimiser: Any = sys.modules.get("torch.optim.sgd")
        if hasattr(optimiser, "sgd"):  # the function, which comes after the class
            optimiser.SGD.step = optimiser.sgd = end
            sys.meta_path.remove(self)


def main() -> None:
    """Run the module as ``python -m`` does."""
    del sys.argv[0]
    sys.meta_path.insert(0, AtTheOptimiser())
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    sys.exit("it ended without a training step")


if __name__ == "__main__":
    main()
