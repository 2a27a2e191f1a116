"""Runs a module until its first training step: ``python -m benchmarks.first_step MODULE WORDS…``.

The process ends with 0 where the optimiser is to change the weights for the first time. It runs in
the environment of either side (Python 3.9 is enough), and changes nothing before that.
"""

import os
import runpy
import sys

import torch


def end(*_: object, **__: object) -> None:
    """In place of the step: leave, without waiting for what runs beside."""
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    """Run the module as ``python -m`` does."""
    del sys.argv[0]
    torch.optim.SGD.step = end  # type: ignore[method-assign]  # that is the purpose
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    sys.exit("it ended without a training step")


if __name__ == "__main__":
    main()
