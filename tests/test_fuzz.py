"""Whatever is read, a reader ends with a value or with one line for its user, and soon.

The same targets are fuzzed by coverage at length: see ``tests/fuzzing``. What that found is kept
here, in REGRESSIONS.
"""

import contextlib
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing.edits import EDITS, edit_json
from tests.fuzzing.seeds import seeds
from tests.fuzzing.targets import TARGETS, run
from train_pytorch_model.command_line import values_from
from train_pytorch_model.contract import TRAIN_PYTORCH_MODEL
from train_pytorch_model.errors import ParameterError
from train_pytorch_model.ports.paths import open_inside

SECONDS = 10
"""More than any input takes on a busy machine."""

# The same inputs in every run: what finds new ones is the fuzzer that is guided by coverage.
FUZZ = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SEEDS = seeds()


@pytest.mark.parametrize("target", TARGETS)
@FUZZ
@given(data=st.data())
def test_edited_inputs(target: str, data: st.DataObject) -> None:
    """Whole inputs of every kind, changed in a few places."""

    def choose(options: Sequence[Any]) -> Any:
        return data.draw(st.sampled_from(options))

    content = choose(SEEDS[target])
    for _ in range(choose((1, 1, 2, 3))):
        content = EDITS.get(target, edit_json)(content, choose)
    begin = time.monotonic()
    run(target, content)
    assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("target", TARGETS)
@FUZZ
@given(content=st.binary(max_size=300))
def test_any_bytes(target: str, content: bytes) -> None:
    """What nobody wrote."""
    run(target, content)


WORDS = st.one_of(
    st.sampled_from([flag for p in TRAIN_PYTORCH_MODEL.parameters for flag in [p.flag]]),
    st.sampled_from([p.flag for p in (*TRAIN_PYTORCH_MODEL.ports, *TRAIN_PYTORCH_MODEL.settings)]),
    st.sampled_from(["1", "0", "-1", "1e-3", "nan", "-inf", "=", "--", "-", "@x", "%s", "", " "]),
    st.integers().map(str),
    st.floats().map(str),
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Nd", "Zs"]), max_size=5),
)


@FUZZ
@given(words=st.lists(WORDS, max_size=12), whole=st.booleans())
def test_command_lines(words: list[str], whole: bool) -> None:
    """Values, or one line: a ParameterError, or argparse's exit code of 2."""
    paths = [word for port in TRAIN_PYTORCH_MODEL.ports for word in (port.flag, "x")]
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            values = values_from(TRAIN_PYTORCH_MODEL, [*(paths if whole else []), *words])
    except ParameterError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 2000
    except SystemExit as stop:
        assert stop.code == 2
        assert len(told.getvalue().splitlines()) == 1
    else:
        assert 1 <= values["epochs"] < 2**31
        assert 0 < values["learning_rate"] < float("inf")


NAMES = st.one_of(
    st.text(max_size=20),
    st.lists(
        st.sampled_from(["..", ".", "", "a", "way", "out", "C:", "\\", "\0", "\ud800", "\udcff"]),
        max_size=6,
    ).map("/".join),
)


@FUZZ
@given(name=NAMES)
def test_names(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No name leads out of a directory, which holds links that do."""
    root = tmp_path_factory.getbasetemp() / "names" / "in"
    if not root.exists():
        (root / "a").mkdir(parents=True)
        (root.parent / "secret").write_text("x")
        (root / "way").symlink_to("..")
        (root / "out").symlink_to("../secret")
    try:
        with open_inside(root, name) as file:
            real = os.path.realpath(f"/proc/self/fd/{file.fileno()}")
    except OSError:
        return
    assert Path(real).is_relative_to(root)


LINE = b'{"image_info": {"file_name": "a"}, "category": "cat"}'
META = b"type: x"

REGRESSIONS: list[Any] = [
    # target, input, a part of the message ("" for a value)
]
