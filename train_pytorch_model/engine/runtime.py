"""Where a run computes, and how exactly: settled once, before training."""

import ctypes
import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from train_pytorch_model.data.cgroup import cpus
from train_pytorch_model.engine.launcher import has_metrics_service, world_size
from train_pytorch_model.errors import UserError, shortened
from train_pytorch_model.report.console import warn

SMALL_IMAGE = 64
"""Below this edge, in pixels, a CPU was faster with each channel apart when both were timed."""

_MOST = 1 << 30
"""So many bytes of freed memory are kept; for small images, in blocks as large as that."""

_ALLOWED = 32 << 20
"""The largest block that the C library must agree to keep; see mallopt(3)."""

_BLOCK = 8 << 20
"""For larger images, in blocks of up to so many bytes."""


@dataclass(frozen=True)
class Runtime:
    """What is settled before training.

    Attributes:
        device: what trains, ``cpu`` or ``cuda``.
        name: its name for people.
        tracked: whether the run has a metrics service, as a job on Azure has.
        bfloat16: whether the network computes in bfloat16 while it trains; its weights, and what
            the loss and the optimiser do, are float32 always.
    """

    device: torch.device
    name: str
    tracked: bool
    bfloat16: bool = False

    @property
    def rounding(self) -> str:
        """The name, and what else decides how numbers are rounded."""
        if self.device.type != "cpu":
            return f"{self.name}, {'bfloat16' if self.bfloat16 else 'float32'}"
        return f"{self.name}, {torch.backends.cpu.get_cpu_capability()}"

    @property
    def cpu_capability(self) -> str:
        """The vector instructions (``AVX2``) of a CPU that trains in float32, else nothing."""
        if self.device.type != "cpu" or self.bfloat16:
            return ""
        return torch.backends.cpu.get_cpu_capability()

    def precision(self) -> AbstractContextManager[object]:
        """Within the context, a network computes in the precision of the run."""
        if self.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def memory_format(self, size: tuple[int, int]) -> torch.memory_format:
        """How images of ``size``, (height, width), and weights lie in memory to be fastest."""
        if self.device.type == "cpu" and min(size) < SMALL_IMAGE:
            return torch.contiguous_format
        return torch.channels_last

    def prepare(self, size: tuple[int, int]) -> None:
        """Settle what depends on the (height, width) of the images.

        Steps on small images are short, and clearing pages counts: all memory is kept. To keep
        the largest blocks for larger images gains little, and takes more memory.
        """
        if self.device.type == "cpu":
            _keep_freed_memory(_MOST if min(size) < SMALL_IMAGE else _BLOCK)


def start(device: str, precision: str = "auto") -> Runtime:
    """Choose the device, and the deterministic form of every operation on it that has one.

    Args:
        device: ``auto`` (a GPU where there is one, else the CPU), ``cpu`` or ``cuda``.
        precision: ``float32``, ``bfloat16``, or ``auto``: bfloat16 on a GPU that has it.

    Raises:
        UserError: ``cuda`` was asked for and there is no GPU; PyTorch cannot compute on the one
            that there is, or not in that precision; or the run was launched as one of several
            processes, which is not supported yet.
    """
    processes = world_size()
    if processes > 1:
        raise UserError(
            f"launched as one of {processes} processes, expected one: training on several GPUs is "
            "not supported yet; set instance_count and process_count_per_instance to 1."
        )
    available, why_not = _gpu_is_available()
    if device == "cuda" and not available:
        raise UserError(
            f"--device is 'cuda', found no GPU that PyTorch can use{why_not}; choose a GPU "
            "compute, or leave --device out."
        )
    if device == "auto" and why_not:
        warn(f"--device: found no GPU that PyTorch can use{why_not}; computing on the CPU.")
    # cuBLAS is deterministic only with a fixed workspace; it reads this when CUDA starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # PyTorch warns, once, of an operation that it cannot make deterministic on this device.
    # torch.use_deterministic_algorithms is the same, and imports torch.compile, for a second.
    torch.set_deterministic_debug_mode("warn")
    # Nothing here reads memory that it has not written; filling it takes a fifth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of the module
    torch.backends.cudnn.benchmark = False
    tracked = has_metrics_service()
    _use_cpus()
    if device == "cpu" or not available:
        name = f"CPU, {torch.get_num_threads()} threads"
        return Runtime(torch.device("cpu"), name, tracked, precision == "bfloat16")
    return _on_gpu(precision, tracked)


def _gpu_is_available() -> tuple[bool, str]:
    """Whether PyTorch can use a GPU; where it says why not (its driver is too old), that too."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if available or not said:
        return available, ""
    return False, f" ({shortened(str(said[0].message).partition(chr(10))[0])})"


def _on_gpu(precision: str, tracked: bool) -> Runtime:
    """The runtime of the first GPU.

    Raises:
        UserError: PyTorch cannot compute on it, or it does not compute in ``precision``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # many lines, of a GPU that PyTorch is not built for
            name = torch.cuda.get_device_name()
            torch.ones(1, device="cuda")
    # It is such a one, or in use; or another GPU of the machine is broken.
    except (RuntimeError, torch.cuda.DeferredCudaCallError) as error:
        why = str(error).partition("\n")[0]
        raise UserError(
            f"--device: found a GPU on which PyTorch {torch.__version__} cannot compute "
            f"({shortened(why)}), expected one that it supports and that is free; choose another "
            "compute, or --device cpu."
        ) from error
    # PyTorch has bfloat16 on older GPUs too, but no convolutions in it.
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bfloat16" and not has_bfloat16:
        raise UserError(
            f"--precision is 'bfloat16', found the GPU {name}, which does not compute in it, "
            "expected one of compute capability 8.0 or more; leave --precision out, or choose "
            "such a one."
        )
    # What is said to be float32 is: by default, convolutions round to 10 bits there (TF32), and
    # products of matrices where TORCH_ALLOW_TF32_CUBLAS_OVERRIDE says so.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # The other ways to compute attention are not deterministic.
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    return Runtime(torch.device("cuda"), name, tracked, has_bfloat16 and precision != "float32")


def _keep_freed_memory(largest: int) -> None:
    """Have the allocator keep what is freed: each step takes the same memory again.

    glibc's malloc gives large blocks back to the system, which clears each page anew. See
    mallopt(3) for the two numbers.

    Args:
        largest: up to how many bytes a block is kept.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3
        # It may refuse more than mallopt(3) allows. To set the second number alone would have it
        # give back all but small blocks.
        if mallopt(mmap_threshold, largest) or mallopt(mmap_threshold, _ALLOWED):
            mallopt(trim_threshold, _MOST)


def _use_cpus() -> None:
    """Use no more threads than the container's quota of processors: the others would only wait."""
    quota = cpus()
    if quota is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(min(quota, torch.get_num_threads()))
