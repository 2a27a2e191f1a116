"""What an import does without is there once it is wanted."""

import gc
import subprocess
import sys

import pytest
import torchvision

from train_pytorch_model.imports import lean

BEFORE = """
import gc, sys
from train_pytorch_model.imports import lean
with lean():
    import train_pytorch_model.train
    assert not gc.isenabled()
assert gc.isenabled()
assert "torch._dynamo" not in sys.modules
from torchvision.ops import roi_align
"""


@pytest.mark.parametrize(
    "wanted",
    [
        "sys.modules[roi_align.__module__].is_compile_supported('cpu')",
        "import torch._dynamo.utils as utils; utils.is_compile_supported('cpu')",
        "import torch; torch._dynamo.utils.counters",
    ],
)
def test_what_is_left_out_is_imported_once_it_is_wanted(wanted: str) -> None:
    """By torchvision, or by anybody."""
    check = f"{BEFORE}{wanted}\nsys.exit('torch._dynamo.utils' not in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", check], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_garbage_is_still_found_by_a_process_that_trains_again() -> None:
    """What was garbage when all had been imported was kept for ever."""
    assert torchvision.__name__ in sys.modules
    kept = gc.get_freeze_count()
    with lean():
        assert gc.isenabled()
    assert gc.get_freeze_count() == kept
