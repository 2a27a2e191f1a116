"""What is settled before training."""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from train_pytorch_model.engine.runtime import Runtime

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
GIB, MIB = 1 << 30, 1 << 20


@pytest.mark.parametrize(
    ("bfloat16", "device", "trains"),
    [(False, "cpu", True), (True, "cpu", False), (False, "cuda", False), (True, "cuda", False)],
)
def test_which_instructions_train(bfloat16: bool, device: str, trains: bool) -> None:
    """Those of the CPU where it computes in float32; else none that layers are chosen by."""
    runtime = Runtime(torch.device(device), "", tracked=False, bfloat16=bfloat16)
    expected = torch.backends.cpu.get_cpu_capability() if trains else ""
    assert runtime.cpu_capability == expected


@pytest.mark.parametrize(
    ("size", "most", "calls"),
    [
        (28, GIB, [(MMAP_THRESHOLD, GIB), (TRIM_THRESHOLD, GIB)]),
        (224, GIB, [(MMAP_THRESHOLD, 8 * MIB), (TRIM_THRESHOLD, GIB)]),
        # As glibc before 2.35.
        (28, 32 * MIB, [(MMAP_THRESHOLD, GIB), (MMAP_THRESHOLD, 32 * MIB), (TRIM_THRESHOLD, GIB)]),
        (28, 0, [(MMAP_THRESHOLD, GIB), (MMAP_THRESHOLD, 32 * MIB)]),
    ],
)
def test_what_the_allocator_is_told(
    monkeypatch: pytest.MonkeyPatch, size: int, most: int, calls: list[tuple[int, int]]
) -> None:
    """It may refuse to keep large blocks; and then the other number is left alone."""
    told: list[tuple[int, int]] = []

    def mallopt(parameter: int, value: int) -> int:
        told.append((parameter, value))
        return int(parameter == TRIM_THRESHOLD or value <= most)

    _with_library(monkeypatch, mallopt)
    Runtime(torch.device("cpu"), "", tracked=False).prepare((size, size))
    assert told == calls


def test_an_allocator_of_another_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has no such function, and is told nothing."""
    _with_library(monkeypatch, None)
    Runtime(torch.device("cpu"), "", tracked=False).prepare((28, 28))


def _with_library(
    monkeypatch: pytest.MonkeyPatch, mallopt: Callable[[int, int], int] | None
) -> None:
    library = SimpleNamespace() if mallopt is None else SimpleNamespace(mallopt=mallopt)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
