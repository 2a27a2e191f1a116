"""What is settled before training."""

import pytest
import torch

from train_pytorch_model.engine.runtime import Runtime


@pytest.mark.parametrize(
    ("bfloat16", "device", "trains"),
    [(False, "cpu", True), (True, "cpu", False), (False, "cuda", False), (True, "cuda", False)],
)
def test_which_instructions_train(bfloat16: bool, device: str, trains: bool) -> None:
    """Those of the CPU where it computes in float32; else none that layers are chosen by."""
    runtime = Runtime(torch.device(device), "", tracked=False, bfloat16=bfloat16)
    expected = torch.backends.cpu.get_cpu_capability() if trains else ""
    assert runtime.cpu_capability == expected
