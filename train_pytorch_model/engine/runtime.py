"""Where a run computes, and how exactly: settled once, before training."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from train_pytorch_model.engine.launcher import has_metrics_service, world_size
from train_pytorch_model.errors import OutOfMemoryError, UserError


@dataclass(frozen=True)
class Runtime:
    """What is settled before training.

    Attributes:
        device: what trains, ``cpu`` or ``cuda``.
        name: its name for people.
        tracked: whether the run has a metrics service, as a job on Azure has.
    """

    device: torch.device
    name: str
    tracked: bool


def start(device: str) -> Runtime:
    """Choose the device, and the deterministic form of every operation on it that has one.

    Args:
        device: ``auto`` (a GPU where there is one, else the CPU), ``cpu`` or ``cuda``.

    Raises:
        UserError: ``cuda`` was asked for and there is no GPU; or the run was launched as one of
            several processes, which is not supported yet.
    """
    processes = world_size()
    if processes > 1:
        raise UserError(
            f"launched as one of {processes} processes, expected one: training on several GPUs is "
            "not supported yet; set instance_count and process_count_per_instance to 1."
        )
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise UserError(
            "--device is 'cuda', found no GPU that PyTorch can use; choose a GPU compute, or leave "
            "--device out."
        )
    # cuBLAS is deterministic only with a fixed workspace; it reads this when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # PyTorch warns, once, of an operation that it cannot make deterministic on this device.
    # torch.use_deterministic_algorithms is the same, and imports torch.compile, for a second.
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.benchmark = False
    tracked = has_metrics_service()
    if device == "cpu" or not available:
        return Runtime(torch.device("cpu"), f"CPU, {torch.get_num_threads()} threads", tracked)
    return Runtime(torch.device("cuda"), torch.cuda.get_device_name(), tracked)


@contextmanager
def memory_for(message: str) -> Iterator[None]:
    """Within the block, a device or machine that is out of memory is the user's error.

    Args:
        message: what does not fit then, and what to do about it.

    Raises:
        OutOfMemoryError: an allocation failed.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise OutOfMemoryError(message) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # what the CPU's allocator says
            raise
        raise OutOfMemoryError(message) from error
