"""Runs a module as on a network mount: each file below a folder takes a while to be opened.

``python -m benchmarks.slow_files SECONDS FOLDER MODULE WORDS…``
"""

import os
import runpy
import sys
import time
from typing import Any


def main() -> None:
    """Run the module as ``python -m`` does."""
    seconds, folder = float(sys.argv[1]), os.path.realpath(sys.argv[2])
    del sys.argv[:3]
    open_at_once = os.open

    def open_slowly(path: Any, *args: Any, **kwargs: Any) -> int:
        if os.path.realpath(os.fsdecode(path)).startswith(folder + os.sep):
            time.sleep(seconds)
        return open_at_once(path, *args, **kwargs)

    os.open = open_slowly  # what the package opens every input with
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
