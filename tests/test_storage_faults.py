"""Storage that fails, comes back, or changes while a run reads from it."""

import errno
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Arguments, Run, class_folders, picture, refused
from tests.loading import load
from tests.test_damaged_images import in_turn
from tests.test_image_directory import with_metadata
from train_pytorch_model.companions import convert_to_image_directory
from train_pytorch_model.errors import InvalidDatasetError
from train_pytorch_model.ports import paths, patience, storage
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.paths import read_inside

PASSING = ["EIO", "ESTALE", "ETIMEDOUT", "EAGAIN", "EINTR", "EBUSY", "EREMOTEIO", "ENOTCONN"]
PASSING += ["ENETDOWN", "EHOSTDOWN", "ECONNRESET", "EMFILE", "ENFILE", "ENOMEM"]
LASTING = ["EACCES", "EPERM", "ENOTDIR", "ENXIO", "ENAMETOOLONG", "EINVAL"]


class Faults:
    """Makes the first ``times`` attempts to open, or to read, each file below ``root`` fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.attempts: Counter[str] = Counter()
        self.opening = self.reading = 0
        self.number = errno.EIO
        faults, really_open = self, os.open

        def opened(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if flags & ~os.O_NOFOLLOW == storage.READING:  # not the output
                faults.fail(path, "open", faults.opening)
            return really_open(path, flags, *args, **options)

        class File(storage.PersistentFile):
            def _persistent(self, read: Callable[[], Any]) -> Any:
                def attempt() -> Any:
                    faults.fail(self._path, "read", faults.reading)
                    return read()

                return super()._persistent(attempt)

        self.root = str(root)
        monkeypatch.setattr(storage, "PAUSES", (0.001, 0.001, 0.001, 0.001))
        monkeypatch.setattr(os, "open", opened)
        monkeypatch.setattr(paths, "PersistentFile", File)

    def fail(self, path: Any, what: str, times: int) -> None:
        """Raise, if this is one of the first attempts."""
        if str(path).startswith(self.root) and self.attempts[f"{what} {path}"] < times:
            self.attempts[f"{what} {path}"] += 1
            raise OSError(self.number, os.strerror(self.number), str(path))


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Faults:
    """Storage whose files below the test's folder fail as they are told to."""
    return Faults(monkeypatch, tmp_path)


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("what", ["opening", "reading"])
def test_what_passes_is_tried_again(faults: Faults, tmp_path: Path, name: str, what: str) -> None:
    """A file that fails four times and then can be read is read."""
    (tmp_path / "file").write_bytes(b"content")
    setattr(faults, what, len(storage.PAUSES))
    faults.number = getattr(errno, name)
    assert read_inside(tmp_path, "file", 100) == b"content"
    assert sum(faults.attempts.values()) == len(storage.PAUSES)


@pytest.mark.parametrize("name", PASSING)
def test_what_does_not_pass_is_told(faults: Faults, tmp_path: Path, name: str) -> None:
    """After the last attempt, as what it is."""
    (tmp_path / "file").write_bytes(b"content")
    faults.opening, faults.number = 99, getattr(errno, name)
    with pytest.raises(OSError, match=os.strerror(faults.number)):
        read_inside(tmp_path, "file", 100)
    assert sum(faults.attempts.values()) == 1 + len(storage.PAUSES)


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_told_at_once(faults: Faults, tmp_path: Path, name: str) -> None:
    """Nothing is gained by trying again."""
    (tmp_path / "file").write_bytes(b"content")
    faults.opening, faults.number = 99, getattr(errno, name)
    with pytest.raises(OSError, match=os.strerror(faults.number)):
        read_inside(tmp_path, "file", 100)
    assert sum(faults.attempts.values()) == 1


def test_a_file_that_changes_while_it_is_read(faults: Faults, tmp_path: Path) -> None:
    """Is not put together from two files."""
    (tmp_path / "file").write_bytes(b"content")
    faults.reading = 1
    with paths.open_inside(tmp_path, "file") as file:
        (tmp_path / "other").write_bytes(b"something else")
        (tmp_path / "other").replace(tmp_path / "file")
        with pytest.raises(OSError, match="it changed while it was read"):
            file.read()


@pytest.mark.parametrize("form", ["folders", "metadata"])
def test_training_survives(
    run: Run, arguments: Arguments, tmp_path: Path, resnet18: Path, faults: Faults, form: str
) -> None:
    """Every image, list, spec and file of weights can be opened and read at the third attempt."""
    if form == "folders":
        data = class_folders(tmp_path / "data", {"cat": 4, "dog": 4})
    else:
        data = with_metadata(tmp_path / "data", ["cat", "dog"] * 4)
    model = tmp_path / "model"
    model.symlink_to(resnet18)
    faults.root = os.path.realpath(tmp_path.parent.parent)  # the model is not the test's own
    changes = {"--train-data-path": data, "--valid-data-path": data}
    faults.opening = faults.reading = 2
    code, err = run({**changes, "--untrained-model-path": model})
    assert code == 0, err
    assert "cannot be read" not in err
    tried = {os.path.basename(key) for key in faults.attempts}
    assert {"model", "model_spec.yaml", "_meta.yaml"} <= tried
    assert form == "folders" or {"images.lst", "_schema.json"} <= tried


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("data/images.lst", "InvalidDatasetError (0018): training_dataset: 'images.lst'"),
        ("data/_schema.json", "InvalidDatasetError (0018): training_dataset: '_schema.json'"),
        ("data/image/", "InvalidDatasetError (0018): training_dataset: 8 of 8 images"),
    ],
)
def test_storage_that_does_not_come_back(
    run: Run, arguments: Arguments, tmp_path: Path, faults: Faults, name: str, start: str
) -> None:
    """Is one line, and no output."""
    data = with_metadata(tmp_path / "data", ["cat", "dog"] * 4)
    faults.root, faults.reading = f"{os.path.realpath(tmp_path)}/{name}", 99
    line = refused(run, arguments, {"--train-data-path": data}, start)
    assert os.strerror(errno.EIO) in line


def test_an_image_that_fails_while_it_is_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], faults: Faults
) -> None:
    """Is a fault of the input, which is named, not of the output."""
    data = class_folders(tmp_path / "data", {"cat": 4, "dog": 4})
    faults.root, faults.reading = os.path.realpath(data / "dog/002.png"), 99
    words = ["--input_path", str(data), "--output_path", str(tmp_path / "out")]
    assert convert_to_image_directory.main(words) == 1
    assert capsys.readouterr().err == (
        "InvalidDatasetError (0018): input_dataset: files that cannot be read, 1 problem: "
        "'dog/002.png' (Input/output error). Replace or remove them.\n"
    )
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told in a line."""
    really, data = os.scandir, class_folders(tmp_path / "data", {"cat": 4, "dog": 4})

    def scandir(path: Any = ".") -> Any:
        if not isinstance(path, int) and Path(os.fsdecode(path)) == data:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    words = ["--input_path", str(data), "--output_path", str(tmp_path / "out")]
    assert convert_to_image_directory.main(words) == 1
    err = capsys.readouterr().err
    assert err.startswith("InvalidDatasetError (0018): input_dataset: ")
    assert "cannot be opened or unpacked (Permission denied)" in err
    assert len(err.splitlines()) == 1


def test_annotations_that_cannot_be_read_are_not_passed_over(
    run: Run, arguments: Arguments, tmp_path: Path, faults: Faults
) -> None:
    """The images would be trained on as class folders."""
    data = class_folders(tmp_path / "data", {"cat": 4, "dog": 4})
    (data / "annotations.json").write_text("{}")
    faults.root, faults.opening = os.path.realpath(data / "annotations.json"), 99
    start = "InvalidDatasetError (0018): training_dataset: "
    line = refused(run, arguments, {"--train-data-path": data}, start)
    assert "annotations.json' cannot be read (Input/output error)" in line


OUT_OF_DESCRIPTORS = """
import os, resource, sys, threading
from pathlib import Path
from tests.loading import load
from train_pytorch_model.ports.image_directory import read_image_directory

images = read_image_directory(Path(sys.argv[1]), "p")
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
threading.Timer(0.5, lambda: [os.close(descriptor) for descriptor in held]).start()
loaded = load(images)
assert (len(loaded), loaded.unreadable) == (40, ()), loaded.unreadable
"""


def test_no_descriptor_is_free_for_a_moment(tmp_path: Path) -> None:
    """Other threads hold them all: no image is taken for unreadable."""
    class_folders(tmp_path / "data", {"cat": 20, "dog": 20}, size=8)
    words = [sys.executable, "-c", OUT_OF_DESCRIPTORS, str(tmp_path / "data")]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- what changes between indexing and reading ---


def shortened(path: Path) -> None:
    """Cut off a file."""
    path.write_bytes(path.read_bytes()[:-30])


def link_out(path: Path) -> None:
    """A link to a good picture outside of the directory."""
    outside = path.parents[2] / "outside.png"
    picture(0, size=4).save(outside)
    path.unlink()
    path.symlink_to(outside)


def folder_link_out(path: Path) -> None:
    """A folder that becomes a link to one outside of the directory, which has all its files."""
    path.parent.rename(path.parents[2] / "outside")
    path.parent.symlink_to(path.parents[2] / "outside")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "vanishes": (Path.unlink, "No such file or directory"),
    "shorter": (shortened, "truncated"),
    "empty": (lambda path: path.write_bytes(b""), "not an image of a known format"),
    "other bytes": (lambda path: path.write_bytes(b"x" * 500), "not an image of a known format"),
    "a folder": (in_turn(Path.unlink, Path.mkdir), "not a regular file"),
    "a pipe": (in_turn(Path.unlink, os.mkfifo), "not a regular file"),
    "a link out": (link_out, "a link leads out of the directory"),
    "a link to itself": (in_turn(Path.unlink, lambda path: path.symlink_to(path)), "symbolic"),
    "a link to a device": (
        in_turn(Path.unlink, lambda path: path.symlink_to("/dev/zero")),
        "a link leads out of the directory",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_image_that_changes_is_named(tmp_path: Path, change: str) -> None:
    """It is left out like any that cannot be read; nobody waits for it."""
    images = read_image_directory(class_folders(tmp_path / "d", {"a": 99, "b": 99}, 4), "p")
    damage, why = CHANGES[change]
    damage(tmp_path / "d/a/007.png")
    loaded = load(images)
    (unreadable,) = loaded.unreadable
    assert unreadable.startswith("a/007.png: ")
    assert why in unreadable
    assert len(loaded) == 197


@pytest.mark.parametrize("first", ["b/000.png", "a/000.png"])
def test_a_folder_that_becomes_a_link_out(tmp_path: Path, first: str) -> None:
    """None of the files behind it is read, also if some of it were read before."""
    images = read_image_directory(class_folders(tmp_path / "d", {"a": 9, "b": 9}, 4), "p")
    assert read_inside(images.root, first, 1 << 20)
    folder_link_out(tmp_path / "d/a/007.png")
    with pytest.raises(InvalidDatasetError, match="9 of 18 images cannot be read") as caught:
        load(images)
    assert str(caught.value).count("a link leads out of the directory") == 9


def test_an_image_of_another_size(tmp_path: Path) -> None:
    """Is what it would have been from the beginning."""
    images = read_image_directory(class_folders(tmp_path / "d", {"a": 9, "b": 9}, 4), "p")
    picture(0, size=9).save(tmp_path / "d/a/007.png")
    with pytest.raises(InvalidDatasetError, match="1 of 9x9"):
        load(images)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("images.lst", "training_dataset"),
        ("_schema.json", "training_dataset"),
        ("cat", "validation_dataset"),
        ("model_spec.yaml", "untrained_model"),
        ("model", "untrained_model"),
    ],
)
def test_a_read_that_never_returns(
    run: Run,
    arguments: Arguments,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    source: str,
) -> None:
    """Ends the run, which says what it waits for."""
    listed = with_metadata(tmp_path / "listed", ["cat", "dog"] * 5)
    for_ever = threading.Event()

    def hanging(really: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: Any, *args: Any, **options: Any) -> Any:
            if not isinstance(path, int) and os.path.basename(os.fsdecode(path)) == name:
                for_ever.wait(60)
            return really(path, *args, **options)

        return called

    monkeypatch.setattr(os, "open", hanging(os.open))
    monkeypatch.setattr(os, "scandir", hanging(os.scandir))
    monkeypatch.setattr(patience, "PATIENCE_S", 1.0)
    start = f"StorageTimeoutError (0072): {source}: nothing could be read for 1 s"
    refused(run, arguments, {"--train-data-path": listed}, start)
    for_ever.set()


def test_the_inputs_wait_for_their_storage_at_once(
    run: Run, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is begun to be read only when another has been."""
    flags = ("--untrained-model-path", "--train-data-path", "--valid-data-path")
    inputs = {Path(str(arguments[flag])) for flag in flags}
    all_begun, begun = threading.Barrier(len(inputs)), set[Path]()

    def waiting(really: Callable[..., Any]) -> Callable[..., Any]:
        def called(path: Any, *args: Any, **options: Any) -> Any:
            for root in inputs - begun:
                if not isinstance(path, int) and root in Path(os.fsdecode(path), "x").parents:
                    begun.add(root)
                    all_begun.wait(20)
            return really(path, *args, **options)

        return called

    monkeypatch.setattr(os, "open", waiting(os.open))
    monkeypatch.setattr(os, "scandir", waiting(os.scandir))
    code, message = run()
    assert (code, message, begun) == (0, "", inputs)


HANGING = """
import os, runpy, threading
from train_pytorch_model.ports import patience

really = os.scandir

def scandir(path):
    if not isinstance(path, int) and os.path.basename(os.fsdecode(path)) == "cat":
        threading.Event().wait()
    return really(path)

os.scandir, patience.PATIENCE_S = scandir, 1.0
runpy.run_module("train_pytorch_model", run_name="__main__", alter_sys=True)
"""


def test_a_read_that_never_returns_does_not_keep_the_process(arguments: Arguments) -> None:
    """Nor does the pool of threads that it is one of."""
    words = [str(word) for pair in arguments.items() for word in pair]
    command = [sys.executable, "-c", HANGING, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1, done.stderr
    first, _ = re.split(" Also, ", done.stderr.strip())
    assert first.startswith("StorageTimeoutError (0072): training_dataset: nothing could be read")


def test_a_read_that_takes_long_and_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is waited for."""
    monkeypatch.setattr(patience, "PATIENCE_S", 0.1)

    def read() -> int:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            sum(range(1000))
        return 1

    assert patience.answered(read, "p") == 1


# --- permissions; root may read everything, so these tests give that right up for a while ---


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of everyone, in a process that is no longer root's."""
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        if before == 0:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            os.seteuid(before)


@pytest.mark.parametrize("name", ["a/007.png", "a"])
def test_forbidden_files(unprivileged: Path, name: str) -> None:
    """Are told as such, images by name; a folder that cannot be listed is an error."""
    root = class_folders(unprivileged / "d", {"a": 99, "b": 99}, 4)
    (root / name).chmod(0)
    start = rf"^InvalidDatasetError \(0018\): p: .*{name}.*Permission denied"
    try:
        if name == "a":
            with pytest.raises(InvalidDatasetError) as caught:
                read_image_directory(root, "p")
            assert re.search(start, str(caught.value))
        else:
            loaded = load(read_image_directory(root, "p"))
            assert loaded.unreadable == (f"{name}: Permission denied",)
    finally:
        (root / name).chmod(0o700)


def test_a_forbidden_folder_of_images_without_labels(unprivileged: Path) -> None:
    """Is not passed over in silence."""
    picture(0, size=4).save(unprivileged / "0.png")
    (unprivileged / "deep/er").mkdir(parents=True)
    (unprivileged / "deep/er").chmod(0)
    with pytest.raises(InvalidDatasetError, match=r"er' cannot be read \(Permission denied\)"):
        read_image_directory(unprivileged, "p")
