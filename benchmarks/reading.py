"""What reading an image directory takes, told by a process that reads nothing else.

``python -m benchmarks.reading SIDE SMALL DIRECTORY`` runs in the environment of the side, ``ours``
or ``original`` (Python 3.9), and prints a line of JSON. The directory SMALL is read first, so that
nothing is counted that is loaded or started once.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any


def reader(side: str) -> Any:
    """The function with which a side's Train PyTorch Model reads its data: path → images."""
    if side == "original":
        from azureml.designer.modules.dl.pytorch.train.train_pytorch_model import load_dataset

        return lambda path: load_dataset(path)[0]
    from train_pytorch_model.ports.image_directory import labelled, read_image_directory

    return lambda path: labelled(read_image_directory(Path(path), "training_dataset"))


def memory(field: str) -> int:
    """A line of ``/proc/self/status``, in bytes: VmRSS is now, VmHWM the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Read and tell."""
    side, small, directory = sys.argv[1:]
    read = reader(side)
    read(small)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmRSS")
    start = time.perf_counter()
    images = read(directory)
    seconds = time.perf_counter() - start
    peak = memory("VmHWM")
    told = {"images": len(images), "seconds": seconds, "peak": peak, "grown": peak - before}
    sys.stdout.write("\n" + json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
