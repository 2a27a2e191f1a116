"""Where decoded images are kept decides how fast a run is, and nothing else."""

import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from resource import RLIMIT_AS, setrlimit
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import Arguments, Run, class_folders, picture, refused
from tests.test_output import train_in_process
from tests.test_training import history, same, train, weights
from train_pytorch_model import train as story
from train_pytorch_model.data import cgroup, labelled_images, memory
from train_pytorch_model.data.batches import OnDevice
from train_pytorch_model.data.decode import read_content
from train_pytorch_model.data.labelled_images import open_labelled_images
from train_pytorch_model.data.memory import CacheSpace
from train_pytorch_model.ports.image_directory import labelled, read_image_directory
from train_pytorch_model.ports.image_set import ImageSet


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A hundred pictures, one of which cannot be read: more than one batch is short of one."""
    root = class_folders(tmp_path / "images", {"cat": 60, "dog": 60})
    (root / "dog/007.png").write_bytes(b"damaged")
    return root


class FullDisk:
    """A system call that does its work for some times, and then fails."""

    def __init__(self, call: Callable[..., int], error: int, times: int) -> None:
        self._call, self._error, self._times = call, error, times

    def __call__(self, *args: Any) -> int:
        """The system call."""
        self._times -= 1
        if self._times < 0:
            raise OSError(self._error, os.strerror(self._error))
        return self._call(*args)


def noting_sizes(call: Callable[..., int], sizes: list[int]) -> Callable[..., int]:
    """``call``, a system call that returns a size, which is added to ``sizes``."""

    def noting(*args: Any) -> int:
        sizes.append(call(*args))
        return sizes[-1]

    return noting


def results(path: Path) -> tuple[Any, list[dict[str, str]]]:
    """The weights, and the history without what the clock says."""
    rows = history(path)
    for row in rows:
        del row["seconds"], row["images_per_second"]
    return weights(path), rows


def test_no_cache_changes_a_result(
    run: Run, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory, in a file, decoded anew each time, some of each, and on the device."""
    changes: dict[str, object] = {"--train-data-path": images, "--epochs": 2, "--batch-size": 7}
    found = {}
    for cache in ("auto", "memory", "disk", "none"):
        output = tmp_path / cache
        train(run, {**changes, "--trained-model-path": output, "--cache": cache})
        found[cache] = results(output)
    with monkeypatch.context() as patch:  # memory for some, and no disk
        patch.setattr(memory, "FREE_DISK", 0)
        patch.setattr(memory, "available_bytes", lambda: 2 * 50 * 32 * 32 * 3)
        train(run, {**changes, "--trained-model-path": tmp_path / "some"})
        found["some"] = results(tmp_path / "some")
    with monkeypatch.context() as patch:  # a disk for some, which does not give all back
        patch.setattr(os, "pwrite", FullDisk(os.pwrite, errno.ENOSPC, 70))
        patch.setattr(os, "preadv", FullDisk(os.preadv, errno.EIO, 50))
        err = train(run, {**changes, "--trained-model-path": tmp_path / "full", "--cache": "disk"})
        assert "not all decoded images could be kept in" in err
        assert "(No space left on device)" in err
        found["full"] = results(tmp_path / "full")
    with monkeypatch.context() as patch:  # a disk that the output is to have some of, too
        state, _ = found["memory"]
        needed = 7 * sum(value.nbytes for value in state.values())  # the model, two checkpoints
        row = 32 * 32 * 3
        written: list[int] = []
        patch.setattr(memory, "free_bytes", lambda _: needed + 50 * row)
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        patch.setattr(os, "pwrite", noting_sizes(os.pwrite, written))
        err = train(run, {**changes, "--trained-model-path": tmp_path / "small", "--cache": "disk"})
        assert f"could be kept in {tmp_path} (too little free space)" in err
        assert sum(written) == 50 * row
        found["small"] = results(tmp_path / "small")
    with monkeypatch.context() as patch:  # what a GPU does, on the CPU
        patch.setattr(story, "source_of", OnDevice)
        train(run, {**changes, "--trained-model-path": tmp_path / "device"})
        found["device"] = results(tmp_path / "device")
    state, rows = found.pop("auto")
    for name, (other, other_rows) in found.items():
        assert same(state, other), name
        assert rows == other_rows, name


def test_the_host_forgets_what_is_on_the_device(images: Path) -> None:
    """Once all of it is there."""
    found = labelled(read_image_directory(images, "training_dataset"))
    read = open_labelled_images(found, "memory", CacheSpace(1 << 30, 0))
    source, chosen = OnDevice(read, torch.device("cpu")), torch.arange(len(found)).split(16)
    first = list(source.batches(chosen))
    source.finish()
    for (pixels, labels), before in zip(source.batches(chosen), first, strict=True):
        assert torch.equal(pixels, before.pixels)
        assert torch.equal(labels, before.labels)
    with pytest.raises(IndexError):
        next(read.batches(chosen))


def test_no_folder_for_temporary_files(
    run: Run, arguments: Arguments, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is wanted by the cache on the disk alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    changes: dict[str, object] = {"--train-data-path": images, "--cache": "disk"}
    start = "UserError (2000): cache: no file can be made for decoded images (No such file or"
    refused(run, arguments, changes, start)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * 50 * 32 * 32 * 3)  # for a part
    train(run, {**changes, "--cache": "auto"})


def test_images_that_get_no_memory(arguments: Arguments, tmp_path: Path) -> None:
    """Here 54 GB, which a limit of 30 GB does not grant, whatever the machine promises."""
    for name in ("cat", "dog"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (3000, 3000)).save(folder / "0.png")
        for number in range(1, 1000):
            os.link(folder / "0.png", folder / f"{number}.png")
    limit = 30 * 10**9
    done = train_in_process(
        {**arguments, "--train-data-path": tmp_path / "images", "--cache": "memory"},
        lambda: setrlimit(RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr == (
        "OutOfMemoryError (0138): cache: found less memory than the 54.0 GB that 2,000 decoded "
        "images of 3000x3000 pixels take, expected that much; choose --cache auto or disk, or a "
        "larger compute.\n"
    )
    assert not Path(str(arguments["--trained-model-path"])).exists()


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_images_that_change_while_training(
    run: Run, arguments: Arguments, images: Path, monkeypatch: pytest.MonkeyPatch, cache: str
) -> None:
    """Are refused where they are read again; what has been read is what counts."""
    times = {"dog/009.png": 0}

    def changing(image_set: ImageSet, index: int) -> bytes:
        name = image_set.file(index)
        if name in times and image_set.port == "training_dataset":
            times[name] += 1
            if times[name] == 2:
                picture(99).save(images / name)
        return read_content(image_set, index)

    monkeypatch.setattr(labelled_images, "read_content", changing)
    changes: dict[str, object] = {"--train-data-path": images, "--epochs": 2, "--cache": cache}
    if cache == "none":
        code, err = run(changes)
        assert code == 1
        line = err.splitlines()[-1]
        assert "training_dataset: 1 of 120 images have changed since they were first" in line
        assert "'dog/009.png'" in line
        assert not Path(str(arguments["--trained-model-path"])).exists()
    else:
        train(run, changes)


def test_wrong_validation_images_end_the_first_epoch(
    run: Run, arguments: Arguments, images: Path, tmp_path: Path
) -> None:
    """They are read while it trains."""
    wrong = shutil.copytree(images, tmp_path / "wrong")
    for number in range(5):
        (wrong / f"cat/{number:03}.png").write_bytes(b"damaged")
    start = "InvalidDatasetError (0018): validation_dataset: 6 of 120 images cannot be read"
    changes: dict[str, object] = {"--train-data-path": images, "--valid-data-path": wrong}
    refused(run, arguments, changes, start)


@pytest.mark.parametrize("name", ["cat/000.png", "dog/009.png"])
def test_a_storage_that_does_not_answer(
    run: Run, arguments: Arguments, images: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Ends the run, which says which image it waits for."""
    for_ever = threading.Event()

    def hanging(image_set: ImageSet, index: int) -> bytes:
        if image_set.file(index) == name:
            for_ever.wait(60)
        return read_content(image_set, index)

    monkeypatch.setattr(labelled_images, "read_content", hanging)
    monkeypatch.setattr(labelled_images, "PATIENCE_S", 2.0)
    start = "StorageTimeoutError (0072): training_dataset: no image could be read for 2 s"
    line = refused(run, arguments, {"--train-data-path": images}, start)
    assert f"waiting for {name!r}" in line
    for_ever.set()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.cfs_quota_us": "300000", "cpu.cfs_period_us": "100000"}, 3),
        ({"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_the_quota_of_a_container(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    version: int,
    files: dict[str, str],
    expected: int | None,
) -> None:
    """Of processors, in both versions of control groups; an outer group's holds too."""
    membership = tmp_path / "membership"
    membership.write_text("4:cpu,cpuacct:/outer/inner\n" if version == 1 else "0::/outer/inner\n")
    group = tmp_path / ("cpu/outer" if version == 1 else "outer")
    group.mkdir(parents=True)
    for name, content in files.items():
        (group / name).write_text(content)
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "MEMBERSHIP", membership)
    assert cgroup.cpus() == expected


def test_the_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left, and what the system would give up."""
    membership = tmp_path / "membership"
    membership.write_text("0::/\n")
    files = {"memory.max": "1000", "memory.current": "900", "memory.stat": "inactive_file 300\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "MEMBERSHIP", membership)
    assert cgroup.memory_left() == 400
    assert memory.available_bytes() == 400
    (tmp_path / "memory.max").write_text("max")
    assert cgroup.memory_left() is None


def test_a_dead_thread_is_not_waited_for(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends it is raised where its image is waited for."""

    def dying(image_set: ImageSet, index: int) -> bytes:
        if index == 50:
            raise SystemError("the thread dies")
        return read_content(image_set, index)

    from tests.loading import load
    from train_pytorch_model.ports.image_directory import read_image_directory

    monkeypatch.setattr(labelled_images, "read_content", dying)
    with pytest.raises(SystemError, match="the thread dies"):
        load(read_image_directory(images, "p"))


def test_read_ahead_takes_no_more_than_there_is_room_for() -> None:
    """Until it is released."""
    from train_pytorch_model.data.read_ahead import ReadAhead

    read: list[int] = []
    ahead = ReadAhead(read.append, np.arange(100), room=10)
    assert ahead.wait(np.arange(10), 5)
    assert not ahead.wait(np.array([10]), 0.2)
    assert sorted(read) == list(range(10))
    ahead.release(np.arange(10))
    assert not ahead.wait(np.array([20]), 0.2)
    ahead.release(np.arange(10, 200))
    assert ahead.wait(np.arange(100), 5)
    ahead.close()


def test_what_there_is_no_room_for_is_read_at_leisure() -> None:
    """With an eighth of a processor; where there is room, with all of it."""
    from train_pytorch_model.data.read_ahead import ReadAhead

    def read(index: int) -> None:
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    ahead = ReadAhead(read, np.arange(1000), room=20, at_leisure=True)
    assert ahead.wait(np.arange(20), 5)
    used = time.process_time()
    assert ahead.wait(np.arange(60), 5)  # though nothing has been released
    assert time.process_time() - used < 0.5
    began = time.monotonic()
    ahead.wait(np.arange(60, 90), 5)
    assert time.monotonic() - began > 30 * 0.002 * 4
    ahead.make_room(1000)
    began = time.monotonic()
    assert ahead.wait(np.arange(1000), 20)
    assert time.monotonic() - began < 910 * 0.002 * 6


def test_there_are_more_readers_only_where_the_storage_is_slow() -> None:
    """What takes the processors' time takes no less of it with more threads."""
    from train_pytorch_model.data.read_ahead import ReadAhead

    threads: set[int] = set()

    def read(index: int) -> None:
        threads.add(threading.get_ident())
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass

    ahead = ReadAhead(read, np.arange(300), room=300)
    assert ahead.wait(np.arange(300), 20)
    assert len(threads) == 1


def test_there_are_more_readers_where_the_storage_is_slow() -> None:
    """While nothing is waited for, one for each processor; then up to READERS."""
    from train_pytorch_model.data import read_ahead

    now: set[int] = set()
    most = 0

    def read(index: int) -> None:
        nonlocal most
        now.add(index)
        most = max(most, len(now))
        time.sleep(0.05)
        now.remove(index)

    ahead = read_ahead.ReadAhead(read, np.arange(2000), room=2000, processors=2)
    time.sleep(0.3)
    assert most <= 2
    assert ahead.wait(np.arange(400), 5)
    ahead.close()
    assert most == read_ahead.READERS
