"""The output directory: whole or absent, and checked before training."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from typing import Any

import pytest

from tests.conftest import Arguments, Run, refused
from tests.test_training import FILES, output_of, train
from train_pytorch_model.errors import FailedToWriteOutputsError
from train_pytorch_model.ports.output import check_output, whole_directory

START = "FailedToWriteOutputsError (0160): trained_model: "


def train_in_process(
    arguments: Arguments, before: Callable[[], object] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own; ``before`` runs in it first."""
    words = [str(w) for pair in arguments.items() for w in pair]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.run(
        [sys.executable, "-m", "train_pytorch_model", *words],
        check=False,
        text=True,
        preexec_fn=before,
        **{**pipes, **options},
    )


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


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory that cannot be renamed over, like a mount point."""
    output = tmp_path / "out"
    output.mkdir()
    rename = os.rename

    def refusing(source: Path, target: Path) -> None:
        if Path(target) == output:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        if Path(target).name == "refused":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refusing)
    return output


def test_a_mount_point_is_filled_in_place(mount: Path) -> None:
    """And what a killed run has left there goes."""
    (mount / ".partial-left").mkdir()
    check_output(mount, "trained_model")
    with whole_directory(mount, "trained_model") as folder:
        (folder / "sub").mkdir()
        for name in ("_meta.yaml", "model", "sub/a"):
            (folder / name).write_text(name)
    files = sorted(str(p.relative_to(mount)) for p in mount.rglob("*"))
    assert files == ["_meta.yaml", "model", "sub", "sub/a"]
    assert list(mount.parent.iterdir()) == [mount]


def test_what_a_killed_run_has_put_there_is_replaced(mount: Path) -> None:
    """Where it is another, as after a run with other parameters, or of another minute."""
    (mount / ".partial-left" / "half").mkdir(parents=True)
    (mount / "sub").mkdir()
    for name in ("_meta.yaml", "model", "same", "sub/old"):
        (mount / name).write_text("same" if name == "same" else "old")
    before = (mount / "same").stat().st_ino
    check_output(mount, "trained_model")
    with whole_directory(mount, "trained_model") as folder:
        assert list((mount / ".partial-left").iterdir()) == []
        (folder / "sub").mkdir()
        for name in ("_meta.yaml", "model", "same", "sub/new"):
            (folder / name).write_text("same" if name == "same" else "new")
    found = {p.relative_to(mount): p.read_text() for p in mount.rglob("*") if p.is_file()}
    assert found == {
        **{Path(name): "new" for name in ("_meta.yaml", "model", "sub/new")},
        Path("same"): "same",
    }
    assert (mount / "same").stat().st_ino == before
    assert sorted(os.listdir(mount)) == ["_meta.yaml", "model", "same", "sub"]


def test_what_no_killed_run_has_put_there_stays(mount: Path) -> None:
    """Also beside what a killed run has left, or behind a link of such a name."""
    (mount / ".partial-left").mkdir()
    (mount / "precious").write_text("x")
    elsewhere = mount.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (mount / ".partial-link").symlink_to(elsewhere)
    check_output(mount, "trained_model")

    def fill() -> None:
        with whole_directory(mount, "trained_model") as folder:
            (folder / "a").write_text("x")

    with pytest.raises(FailedToWriteOutputsError, match="it holds another 'precious'"):
        fill()
    assert (mount / "precious").read_text() == (elsewhere / "precious").read_text() == "x"
    assert not (mount / "a").exists()


def test_a_mount_point_that_fails_midway_is_emptied(mount: Path) -> None:
    """What was moved is taken back, directories too."""

    def fill() -> None:
        with whole_directory(mount, "trained_model") as folder:
            (folder / "a").mkdir()
            for name in ("_meta.yaml", "a/x", "model", "refused"):
                (folder / name).write_text(name)

    with pytest.raises(FailedToWriteOutputsError, match="Input/output error"):
        fill()
    assert list(mount.iterdir()) == []


def test_a_link_to_an_empty_directory_is_followed(run: Run, arguments: Arguments) -> None:
    """The output appears where the link leads."""
    real = output_of(arguments).parent / "real"
    real.mkdir()
    output_of(arguments).symlink_to(real)
    train(run, {})
    assert output_of(arguments).is_symlink()
    assert {p.name for p in real.iterdir()} == FILES


def test_a_full_disk_is_told_and_leaves_nothing(arguments: Arguments) -> None:
    """Here by a limit on the size of a file, which PyTorch reports in words of its own."""
    done = train_in_process(arguments, lambda: setrlimit(RLIMIT_FSIZE, (10_000_000, 10_000_000)))
    assert done.returncode == 1
    warning, line = done.stderr.splitlines()
    assert warning.startswith("warning: trained_model: a checkpoint cannot be written (File too l")
    assert line.startswith(START)
    assert "cannot be written (File too large), expected a writable folder with space" in line
    assert list(output_of(arguments).parent.iterdir()) == []


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_log_that_nobody_can_write_does_not_cost_the_model(
    arguments: Arguments, stream: str
) -> None:
    """Every write to /dev/full fails."""
    with open("/dev/full", "w") as full:
        done = train_in_process(arguments, **{stream: full})
    assert "Traceback" not in (done.stderr or "")
    assert {p.name for p in output_of(arguments).iterdir()} == FILES


def test_a_name_that_the_locale_cannot_print(arguments: Arguments) -> None:
    """Is printed as an escape."""
    arguments["--trained-model-path"] = output_of(arguments).with_name("été")
    done = train_in_process(arguments, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "\\xe9t\\xe9" in done.stdout


def hanging(arguments: Arguments, code: str) -> "subprocess.Popen[str]":
    """A process that does what ``code`` says instead of training, once it has called ``begun``."""
    words = [str(w) for pair in arguments.items() for w in pair]
    script = (
        "import sys, threading, time, train_pytorch_model.train as t\n"
        "def begun():\n    print('begun', flush=True)\n"
        f"def hang(job):\n{code}\n"
        "t.train = hang\n"
        "from train_pytorch_model.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGTERM, "terminated; nothing is written\n"),
        (signal.SIGINT, "interrupted; nothing is written\n"),
    ],
)
def test_a_signal_before_training(arguments: Arguments, number: int, line: str) -> None:
    """Ends the run at once in one line, with the shell's code, and leaves nothing."""
    with hanging(arguments, "    begun()\n    time.sleep(60)") as process:
        process.send_signal(number)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (128 + number, line)
    assert list(output_of(arguments).parent.iterdir()) == []


@pytest.mark.parametrize(
    "code",
    [
        # a library that takes every exception for its own
        """
    while True:
        try:
            begun()
            time.sleep(60)
        except BaseException:
            pass""",
        # a thread that holds up the end of the process
        """
    threading.Thread(target=time.sleep, args=(60,)).start()
    begun()
    time.sleep(60)""",
    ],
    ids=["caught", "thread"],
)
def test_what_hangs_is_ended(arguments: Arguments, code: str) -> None:
    """Within ten seconds of SIGTERM."""
    with hanging(arguments, code) as process:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 128 + signal.SIGTERM
    assert err.endswith("terminated; it has not ended within 10 s by itself\n")


def test_what_killed_runs_have_left_goes(tmp_path: Path) -> None:
    """Beside an output that has no checkpoint too; what is another output's stays."""
    for name in (".partial-out-abcdefgh", ".partial-out-2-abcdefgh", ".partial-out"):
        (tmp_path / name).mkdir()
    with whole_directory(tmp_path / "out", "trained_model"):
        pass
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"out", ".partial-out-2-abcdefgh", ".partial-out"}


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, ".partial-x", "a\nb"])
def test_a_name_that_is_long_or_odd(tmp_path: Path, name: str) -> None:
    """Leaves room for the names of what lies beside it."""
    with whole_directory(tmp_path / name, "trained_model") as folder:
        (folder / "file").write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "file").exists()


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
