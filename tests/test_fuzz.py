"""Whatever is read, a reader ends with a value or with one line for its user, and soon.

The same targets are fuzzed by coverage at length: see ``tests/fuzzing``. What that found is kept
here, in REGRESSIONS.
"""

import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.fuzzing.edits import EDITS, edit_json
from tests.fuzzing.seeds import seeds
from tests.fuzzing.targets import PART, SCHEMA, TARGETS
from tests.fuzzing.worker import Worker
from tests.test_image_directory import COCO, categories_of, schema_of
from train_pytorch_model.command_line import values_from
from train_pytorch_model.contract import TRAIN_PYTORCH_MODEL
from train_pytorch_model.errors import ParameterError
from train_pytorch_model.ports.paths import open_inside

# The same inputs in every run: what finds new ones is the fuzzer that is guided by coverage.
FUZZ = settings(
    deadline=None,
    derandomize=True,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SEEDS = seeds()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """Runs targets, in a process of its own."""
    with contextlib.closing(Worker()) as worker:
        yield worker


@pytest.mark.parametrize("target", TARGETS)
@FUZZ
@given(data=st.data())
def test_edited_inputs(worker: Worker, target: str, data: st.DataObject) -> None:
    """Whole inputs of every kind, changed in a few places."""

    def choose(options: Sequence[Any]) -> Any:
        return data.draw(st.sampled_from(options))

    content = choose(SEEDS[target])
    for _ in range(choose((1, 1, 2, 3))):
        content = EDITS.get(target, edit_json)(content, choose)
    worker.run(target, content)


@pytest.mark.parametrize("target", TARGETS)
@FUZZ
@given(content=st.binary(max_size=300))
def test_any_bytes(worker: Worker, target: str, content: bytes) -> None:
    """What nobody wrote."""
    worker.run(target, content)


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
    values: dict[str, Any] = {}
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            values = values_from(TRAIN_PYTORCH_MODEL, [*(paths if whole else []), *words])
    except ParameterError as error:
        told.write(f"{error}\n")
    except SystemExit as stop:
        told.write("" if stop.code == 2 else f"{stop.code}\n")
    assert len(told.getvalue().splitlines()) == (0 if values else 1)
    assert len(told.getvalue()) < 3000
    if values:
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
LONG = "x" * 100_000
NOT_TEXT = "a\ud800"


def described(meta: object, schema: object = SCHEMA) -> bytes:
    """A directory with metadata and one line."""
    return PART.join((json.dumps(meta).encode(), LINE, json.dumps(schema).encode()))


def frame(**meta: object) -> bytes:
    """A table of scored images with this in its ``_meta.yaml``, and without data."""
    names = {"type": "DataFrameDirectory", "format": "Parquet", "schema": "schema/_schema.json"}
    return json.dumps(names | meta).encode() + PART + b"{}"


def columns(**changes: object) -> bytes:
    """A schema whose column of labels is changed."""
    schema = schema_of(categories_of("cat", "dog"))
    schema["columnAttributes"][1] |= changes
    return json.dumps(schema).encode()


def photo() -> bytes:
    """A baseline JPEG, white."""
    file = io.BytesIO()
    Image.new("RGB", (2000, 2000), "white").save(file, "JPEG", subsampling=0)
    return file.getvalue()


def plain_scans(count: int) -> bytes:
    """A baseline JPEG, white, of as many scans of one component, which are cut off."""
    content = photo()
    start = content.index(b"\xff\xda")
    scan = b"\xff\xda\0\x08\x01\x01\0\0\x3f\0" + content[start + 14 : start + 24]
    return content[:start] + scan * count + content[-2:]


def scans(count: int) -> bytes:
    """A progressive JPEG, white, in which the last scan is repeated."""
    file = io.BytesIO()
    Image.new("L", (2000, 2000), "white").save(file, "JPEG", progressive=True)
    content = file.getvalue()
    return content[:-2] + content[content.rindex(b"\xff\xda") : -2] * count + content[-2:]


def categories(*names: str) -> bytes:
    """COCO annotations of an image, and these categories."""
    return json.dumps(COCO | {"categories": categories_of(*names)}).encode()


REGRESSIONS: list[Any] = [
    # target, input, a part of the message (nothing where there is a value)
    pytest.param("images_lst", LINE + LINE, "line 1 is not JSON", id="two objects on a line"),
    pytest.param("images_lst", LINE + b"\r" + LINE, "line 1 is not JSON", id="ends of old Macs"),
    pytest.param(
        "images_lst", LINE.replace(b", ", b",\n"), "2 problems: line 1 is", id="one on two lines"
    ),
    pytest.param(
        "images_lst", LINE + LINE.replace(b", ", b",\n"), "2 problems: line 1", id="two on two"
    ),
    pytest.param("images_lst", LINE[:-1] + b', "x": "\xff"}', "", id="not UTF-8, in no column"),
    pytest.param("images_lst", LINE[:-1] + b', "id": NaN}', "", id="not a number"),
    pytest.param("images_lst", LINE[:-1] + b', "id": 18446744073709551616}', "", id="large number"),
    pytest.param("images_lst", LINE[:-1] + b', "category": "dog"}', "", id="a key twice"),
    pytest.param(
        "image_directory",
        described({"type": "x", "image_list": NOT_TEXT}),
        "its path leaves the directory",
        id="a list of no name",
    ),
    pytest.param(
        "image_directory",
        described({"type": "x", "schema": NOT_TEXT}),
        "its path leaves the directory",
        id="a schema of no name",
    ),
    pytest.param(
        "model_spec",
        json.dumps({"type": "ModelDirectory", "model": NOT_TEXT}).encode(),
        "its path leaves the directory",
        id="a spec of no name",
    ),
    pytest.param("data_frame", frame(data=NOT_TEXT), "leaves the directory", id="data of no name"),
    pytest.param("schema", columns(name="id"), "column 'id' is declared twice", id="a name twice"),
    pytest.param("schema", columns(name=LONG), " characters) is empty)", id="a long column"),
    pytest.param(
        "schema",
        columns(
            properties={
                "annotation_type": "COCO_classification",
                "categories": categories_of(LONG, LONG),
            }
        ),
        "has the ids 0 and 1",
        id="a long category twice",
    ),
    pytest.param(
        "coco",
        categories(*map(str, range(100_001))),
        "100,001 categories are more than 100,000",
        id="COCO of many categories, in time",
    ),
    pytest.param("coco", b'{"images": [', "what may be damaged ones", id="COCO cut off"),
    pytest.param("coco", b"[" * 100_000, "what may be damaged ones", id="deep COCO"),
    pytest.param("image", scans(2000), "it has 2,006 scans", id="a JPEG of many scans"),
    pytest.param("image", scans(20), "", id="a JPEG of some scans"),
    pytest.param("image", photo() + b"\xff\xda" * 100_000, "", id="a JPEG before a film"),
    pytest.param("image", plain_scans(2000), "it has 2,000 scans", id="a plain JPEG of scans"),
]


@pytest.mark.parametrize(("target", "content", "expected"), REGRESSIONS)
def test_what_fuzzing_found(worker: Worker, target: str, content: bytes, expected: str) -> None:
    """Stays mended."""
    message = worker.run(target, content)
    assert expected in message
    assert bool(expected) == bool(message)


def test_findings_are_told(worker: Worker) -> None:
    """What a target raises in the other process fails the test in this one."""
    with pytest.raises(AssertionError, match="KeyError: 'no target'"):
        worker.run("no target", b"")
