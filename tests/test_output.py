"""The output directory: whole or absent, and checked before training."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Arguments, Run, refused
from tests.test_training import FILES, output_of, train
from train_pytorch_model.errors import FailedToWriteOutputsError
from train_pytorch_model.ports.output import whole_directory

START = "FailedToWriteOutputsError (0160): trained_model: "


def test_an_empty_directory_is_filled(run: Run, arguments: Arguments) -> None:
    """As Azure gives one."""
    output_of(arguments).mkdir()
    train(run, {})
    assert {p.name for p in output_of(arguments).iterdir()} == FILES


def test_parents_are_made(run: Run, tmp_path: Path) -> None:
    """Of a path that does not exist."""
    train(run, {"--trained-model-path": tmp_path / "a" / "b" / "c"})
    assert {p.name for p in (tmp_path / "a" / "b" / "c").iterdir()} == FILES


def test_a_directory_with_something_in_it_is_left_alone(run: Run, arguments: Arguments) -> None:
    """Stale files do not get into a model."""
    output_of(arguments).mkdir()
    (output_of(arguments) / "precious").write_text("x")
    line = refused(run, arguments, {}, START)
    assert "is not empty (it holds 'precious')" in line


def test_a_file_is_left_alone(run: Run, arguments: Arguments) -> None:
    """And told before training."""
    output_of(arguments).write_text("x")
    assert "is not a directory" in refused(run, arguments, {}, START)


@pytest.mark.parametrize("path", ["/proc/trained", "/dev/null/trained"])
def test_a_place_that_cannot_be_written(run: Run, arguments: Arguments, path: str) -> None:
    """Told before training; the directory above is a read-only file system, or a file."""
    code, err = run({"--trained-model-path": path, "--untrained-model-path": "/nowhere"})
    assert code == 1
    assert err.startswith(START)
    assert "cannot be written" in err
    assert len(err.splitlines()) == 1


def test_nothing_is_left_of_a_run_that_fails_while_writing(tmp_path: Path) -> None:
    """Neither the output nor what was to become it."""

    def fail() -> None:
        with whole_directory(tmp_path / "out", "trained_model") as folder:
            (folder / "half").write_text("x")
            raise OSError(28, os.strerror(28))

    with pytest.raises(FailedToWriteOutputsError, match="No space left on device"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_mount_point_is_filled_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be renamed over; the file that makes the directory readable comes last."""
    output = tmp_path / "out"
    output.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == output)
    moved: list[str] = []
    rename = os.rename

    def noted(source: Path, target: Path) -> None:
        moved.append(Path(target).name)
        rename(source, target)

    monkeypatch.setattr(os, "rename", noted)
    with whole_directory(output, "trained_model") as folder:
        for name in ("_meta.yaml", "model", "a"):
            (folder / name).write_text(name)
        assert folder.parent == output
    assert sorted(p.name for p in output.iterdir()) == ["_meta.yaml", "a", "model"]
    assert moved == ["a", "model", "_meta.yaml"]


def test_a_mount_point_that_fails_midway_is_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was moved is taken back."""
    output = tmp_path / "out"
    output.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == output)
    rename = os.rename

    def failing(source: Path, target: Path) -> None:
        if Path(target).name == "_meta.yaml":
            raise OSError(5, os.strerror(5))
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)

    def fill() -> None:
        with whole_directory(output, "trained_model") as folder:
            for name in ("_meta.yaml", "model"):
                (folder / name).write_text(name)

    with pytest.raises(FailedToWriteOutputsError, match="Input/output error"):
        fill()
    assert list(output.iterdir()) == []


def test_the_permissions_are_those_of_mkdir(tmp_path: Path) -> None:
    """Others may read the output, as the umask says."""
    (tmp_path / "usual").mkdir()
    with whole_directory(tmp_path / "out", "trained_model"):
        pass
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_bug_keeps_its_traceback(arguments: Arguments) -> None:
    """Only what the user can mend becomes one line."""
    words = [str(w) for pair in arguments.items() for w in pair]
    script = (
        "import sys, train_pytorch_model.train as t\n"
        "def broken(job): raise RuntimeError('a bug')\n"
        "t.train = broken\n"
        "from train_pytorch_model.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: a bug" in done.stderr
