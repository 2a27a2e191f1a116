"""DataFrameDirectories that are damaged or made to harm, through Evaluate Image Model."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from tests.test_evaluate import evaluate, metrics, scored

NAMES = ("category", "Scored Probabilities_a", "Scored Probabilities_b", "Scored Labels")
COLUMNS: tuple[Any, ...] = (["a", "b"], [0.75, 0.25], [0.25, 0.75], ["a", "b"])

Damage = Callable[[Path], object]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A table of two scored images."""
    return scored(tmp_path / "in", *(COLUMNS[0], COLUMNS[3], {"a": COLUMNS[1], "b": COLUMNS[2]}))


def meta(**changes: Any) -> Damage:
    """Change keys of ``_meta.yaml``; None drops one."""

    def damage(folder: Path) -> None:
        found = yaml.safe_load((folder / "_meta.yaml").read_text()) | changes
        kept = {key: value for key, value in found.items() if value is not None}
        (folder / "_meta.yaml").write_text(yaml.safe_dump(kept))

    return damage


def schema(**changes: Any) -> Damage:
    """Change keys of the schema."""

    def damage(folder: Path) -> None:
        file = folder / "schema" / "_schema.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return damage


def content(name: str, text: bytes) -> Damage:
    """Replace a file."""
    return lambda folder: (folder / name).write_bytes(text)


def column(name: str, values: Any, **options: Any) -> Damage:
    """Replace a column of the data."""

    def damage(folder: Path) -> None:
        columns = dict(zip(NAMES, COLUMNS, strict=True)) | {name: values}
        pyarrow.parquet.write_table(pa.table(columns), folder / "_data.parquet", **options)

    return damage


def replaced(make: Callable[[Path], object]) -> Damage:
    """Put something else where the data is."""

    def damage(folder: Path) -> None:
        (folder / "_data.parquet").unlink()
        make(folder / "_data.parquet")

    return damage


def cut(folder: Path) -> None:
    """Cut off the end of the data."""
    file = folder / "_data.parquet"
    file.write_bytes(file.read_bytes()[:-30])


def name_that_is_not_utf_8(folder: Path) -> None:
    """Give a column a name that is no text."""
    file = folder / "_data.parquet"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"category", b"\xffategory"))
    assert file.read_bytes() != before


def page(folder: Path) -> None:
    """Overwrite the first bytes of the data, which the end of the file does not tell."""
    file = folder / "_data.parquet"
    file.write_bytes(b"PAR1" + b"\xff" * 200 + file.read_bytes()[204:])


def twice(folder: Path) -> None:
    """Write a column twice."""
    columns = [pa.array(values) for values in (COLUMNS[0], *COLUMNS)]
    table = pa.Table.from_arrays(columns, names=[NAMES[0], *NAMES])
    pyarrow.parquet.write_table(table, folder / "_data.parquet")


NOT_UTF_8 = pa.Array.from_buffers(
    pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xffb")]
)
FOOTER = b"PAR1" + b"\xff" * 400 + b"\x90\x01\x00\x00PAR1"
ROLES = {name: name for name in NAMES[1:3]} | {"Multi Class Assigned Labels": NAMES[3]}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "_meta.yaml").unlink(), "'_meta.yaml' cannot be read"),
        (content("_meta.yaml", b"\xff\xfe\x00{"), "'_meta.yaml' is not YAML"),
        (content("_meta.yaml", b"[1]"), "'_meta.yaml' holds a list"),
        (content("_meta.yaml", b"a: !!python/name:os.system x"), "'_meta.yaml' is not YAML"),
        (content("_meta.yaml", b"#" * ((1 << 20) + 1)), "larger than 1,048,576 bytes"),
        (meta(type="ModelDirectory"), "type 'ModelDirectory', expected 'DataFrameDirectory'"),
        (meta(format="CSV"), "format 'CSV', expected 'Parquet'"),
        (meta(format=None), "format None"),
        (meta(data=None), "the data of _meta.yaml is None"),
        (meta(data=["a"]), "the data of _meta.yaml is a list"),
        (meta(data="../in/_data.parquet"), "its path leaves the directory"),
        (meta(data="/etc/hostname"), "its path leaves the directory"),
        (meta(schema="../../x.json"), "its path leaves the directory"),
        (replaced(lambda path: None), "'_data.parquet' cannot be read (No such file"),
        (replaced(Path.mkdir), "it is not a regular file"),
        (replaced(os.mkfifo), "it is not a regular file"),
        (replaced(lambda path: path.symlink_to("/etc/hostname")), "a link leads out"),
        (content("_data.parquet", b""), "not a whole Parquet file"),
        (content("_data.parquet", b"a,b\n1,2\n"), "not a whole Parquet file"),
        (content("_data.parquet", FOOTER), "not a whole Parquet file"),
        (cut, "not a whole Parquet file"),
        (name_that_is_not_utf_8, "not a whole Parquet file"),
        (page, "not a whole Parquet file"),
        (content("schema/_schema.json", b"{"), "'schema/_schema.json' is not JSON"),
        (content("schema/_schema.json", b"[" * 100_000), "'schema/_schema.json' is not JSON"),
        (content("schema/_schema.json", b"[]"), "'schema/_schema.json' holds a list"),
        (content("schema/_schema.json", b"{}"), "no column of scored labels"),
        (schema(labelColumns="x", scoreColumns=3), "no column of scored labels"),
        (schema(scoreColumns={"Multi Class Assigned Labels": ["x"]}), "no column of scored labels"),
        (schema(labelColumns={"True Labels": "gone"}), "not one column for each role: 'gone'"),
        (schema(labelColumns={"True Labels": NAMES[3]}), "for each role: 'Scored Labels'"),
        (
            schema(scoreColumns=ROLES | {NAMES[1] + "z": NAMES[1] + "z"}),
            "not one column for each role: 'Scored Probabilities_az'",
        ),
        (twice, "not one column for each role: 'category'"),
        (column(NAMES[1], ["x", "y"]), "'Scored Probabilities_a' of type string"),
        (column(NAMES[1], [None, 0.5]), "1 of its first 2 rows have a probability"),
        (column(NAMES[1], [-0.5, 0.5]), "1 of its first 2 rows have a probability"),
        (column(NAMES[1], [float("inf"), 0.5]), "1 of its first 2 rows have a probability"),
        (column(NAMES[0], [["a"], ["b"]]), "'category' of type list<element: string>"),
        (column(NAMES[0], pa.array([1, 2], pa.timestamp("s"))), "'category' of type timestamp"),
        (column(NAMES[0], [b"a", b"\xff"]), "'category' of type binary"),
        (column(NAMES[0], pa.array([b"a"] * 2).dictionary_encode()), "of type dictionary<values="),
        (column(NAMES[0], NOT_UTF_8), "not a whole Parquet file (In column 0: "),
        (column(NAMES[3], [float("nan"), 1.0]), "rows without a scored label"),
    ],
)
def test_a_damaged_directory(
    directory: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    damage: Damage,
    said: str,
) -> None:
    """Is told in one line, and nothing is written."""
    damage(directory)
    assert evaluate(directory, tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert err.startswith("InvalidDatasetError (0018): scored_dataset: ")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: None,
        meta(extension={"any": "thing"}, visualization=None, samples=None),
        column(NAMES[1], pa.array([0.75, 0.25], pa.float32())),
        column(NAMES[0], pa.array(["a", "b"]).dictionary_encode()),
        column(NAMES[0], pa.array(["a", "b"], pa.large_string())),
        column("note", [{"any": [1]}, None]),
        column("category.of.another", ["x", "y"]),
        column("note", ["x", "y"], compression="gzip", row_group_size=1, version="1.0"),
    ],
)
def test_tables_that_other_programs_write(directory: Path, tmp_path: Path, damage: Damage) -> None:
    """Are read as ours."""
    damage(directory)
    assert evaluate(directory, tmp_path / "out") == 0
    assert metrics(tmp_path / "out")["accuracy"] == 1.0


def test_a_long_label_in_many_rows(directory: Path, tmp_path: Path) -> None:
    """Is in memory once: a file of some MB would take a terabyte otherwise."""
    rows = 1_000_000
    labels = pa.DictionaryArray.from_arrays(
        pa.array([0] * rows, pa.int32()), pa.array(["x" * 1_000_000])
    )
    columns = [labels, pa.array([0.75] * rows), pa.array([0.25] * rows), pa.array(["a"] * rows)]
    table = pa.Table.from_arrays(columns, names=NAMES)
    pyarrow.parquet.write_table(
        table, directory / "_data.parquet", store_schema=False, dictionary_pagesize_limit=1 << 24
    )
    assert (directory / "_data.parquet").stat().st_size < 1 << 20
    assert evaluate(directory, tmp_path / "out") == 0
    assert metrics(tmp_path / "out")["images"] == rows
