"""What becomes of a checkpoint: used by the job that it is of, never by another, never in part."""

import copy
import csv
import errno
import json
import os
import pickle
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from tests.conftest import Arguments, class_folders, create, picture
from tests.faults.runs import content
from train_pytorch_model import recovery
from train_pytorch_model import train as story
from train_pytorch_model.cli import main
from train_pytorch_model.data import labelled_images
from train_pytorch_model.data.decode import UnreadableImageError
from train_pytorch_model.engine import fit
from train_pytorch_model.ports import checkpoint as file
from train_pytorch_model.ports import patience
from train_pytorch_model.ports.state_dict import load_state_dict, save_state_dict
from train_pytorch_model.report import console

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def arguments(arguments: Arguments) -> Arguments:
    """Of three epochs."""
    return {**arguments, "--epochs": 3, "--learning-rate": 0.01}


@pytest.fixture
def output(arguments: Arguments) -> Path:
    """Where it writes."""
    return Path(str(arguments["--trained-model-path"]))


@pytest.fixture
def run(arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: ``run({flag: value}) → (exit code, stdout, stderr)``."""

    def run_with(changes: Arguments | None = None) -> tuple[int, str, str]:
        given = {**arguments, **(changes or {})}
        capsys.readouterr()
        code = main([str(word) for pair in given.items() for word in pair])
        return code, *capsys.readouterr()

    return run_with


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the fixtures below make once."""
    return {"folder": tmp_path_factory.mktemp("kept")}


@pytest.fixture
def undisturbed(run: Run, arguments: Arguments, kept: dict[str, Any]) -> dict[str, object]:
    """The content of the output of a run that nothing befell."""
    if "undisturbed" not in kept:
        path = kept["folder"] / "undisturbed"
        assert run({"--trained-model-path": path})[0] == 0
        kept["undisturbed"] = content(path)
    found: dict[str, object] = kept["undisturbed"]
    return found


def in_epoch_two(error: BaseException) -> Callable[..., tuple[float, float, float]]:
    """``fit.evaluate``, which raises in the second epoch."""
    evaluate = fit.evaluate

    def failing(state: Any, *others: Any) -> tuple[float, float, float]:
        if state.epoch == 1:
            raise copy.copy(error)  # it would keep the network, and pytest keeps its parameters
        return evaluate(state, *others)

    return failing


@pytest.fixture
def stopped(run: Run, output: Path, kept: dict[str, Any]) -> Path:
    """The checkpoint of a run that was stopped in its second epoch."""
    beside = output.with_name(f".checkpoint-{output.name}")
    if "stopped" not in kept:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fit, "evaluate", in_epoch_two(MemoryError()))
            assert run()[0] == 1
        kept["stopped"] = shutil.copytree(beside, kept["folder"] / "stopped")
        shutil.rmtree(beside)
    shutil.copytree(kept["stopped"], beside)
    (path,) = beside.iterdir()
    return path


def check(output: Path, expected: dict[str, object], but: set[str] | None = None) -> None:
    """The output is as expected, and nothing else is left."""
    found = content(output)
    assert found.keys() == expected.keys()
    assert {name for name in found if found[name] != expected[name]} <= (but or set())
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be …"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
    ids=["host", "gpu", "allocator", "pinned", "cublas", "cudnn"],
)
def test_out_of_memory(
    run: Run,
    output: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Ends the run in one line; the next goes on."""
    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate", in_epoch_two(error))
        code, _, err = run()
    assert code == 1
    assert err.startswith("OutOfMemoryError (0138): batch_size: ")
    assert len(err.splitlines()) == 1
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "Resuming after epoch 1, from the checkpoint of " in out
    assert "  1/3" not in out
    check(output, undisturbed)


@pytest.mark.parametrize(
    ("flag", "value", "difference"),
    [
        ("--epochs", 4, "epochs was 3, is 4"),
        ("--batch-size", 3, "batch_size was 4, is 3"),
        ("--learning-rate", 0.02, "learning_rate was 0.01, is 0.02"),
        ("--random-seed", 2, "random_seed was 1, is 2"),
        ("--patience", 1, "patience was 3, is 1"),
        ("--num-warmup-steps", 1, "warmup_epochs was 0, is 1"),
        ("--precision", "bfloat16", "precision was auto, is bfloat16"),
        ("--untrained-model-path", "model", "untrained_model has changed"),
        ("--train-data-path", "images", "training_dataset has changed"),
        ("--valid-data-path", "images", "validation_dataset has changed"),
    ],
)
def test_of_another_job(
    run: Run, stopped: Path, tmp_path: Path, flag: str, value: object, difference: str
) -> None:
    """Is left where it is, until the output is complete."""
    if value == "model":
        create("resnet18", tmp_path / "model", random_seed=8)
    if value == "images":
        class_folders(tmp_path / "images", {"cat": 6, "dog": 7})
    given = tmp_path / str(value) if value in ("model", "images") else value
    code, out, err = run({flag: given})
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("warning: trained_model: the checkpoint ")
    assert f"is of another job ({difference}); " in line
    assert "Resuming" not in out
    assert not stopped.parent.exists()


def test_of_another_version(run: Run, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this component, or of PyTorch."""
    monkeypatch.setattr(recovery, "__version__", "9")
    _, _, err = run()
    assert "(train_pytorch_model was " in err
    assert ", is 9); " in err


def test_two_jobs_in_turn(
    run: Run,
    stopped: Path,
    output: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wrong command, stopped, and then the right one again: it goes on."""
    with monkeypatch.context() as patch:
        patch.setattr(fit, "evaluate", in_epoch_two(MemoryError()))
        assert run({"--random-seed": 2})[0] == 1
    assert len(list(stopped.parent.iterdir())) == 2
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "Resuming after epoch 1" in out
    check(output, undisturbed)


def flipped(path: Path) -> None:
    """A bit of a weight is another."""
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 1
    path.write_bytes(raw)


def cut(path: Path) -> None:
    """The end is missing."""
    os.truncate(path, path.stat().st_size // 2)


class Payload:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("mark-of-a-payload",)


def hostile(path: Path) -> None:
    """It runs code when it is loaded."""
    path.write_bytes(pickle.dumps(Payload()))


def hostile_archive(path: Path) -> None:
    """It runs code when PyTorch loads it as it did once."""
    torch.save({"facts": Payload()}, path)


def other_shapes(path: Path) -> None:
    """Its weights are those of another network."""
    rewritten(path, lambda tensors: {n: v.new_zeros(3) for n, v in tensors.items()})


def nan(path: Path) -> None:
    """Its best weights are not a number."""
    rewritten(
        path,
        lambda tensors: {
            n: v.new_full(v.shape, torch.nan) if n == "best.fc.weight" else v
            for n, v in tensors.items()
        },
    )


def without(name: str) -> Callable[[Path], None]:
    """One of its tensors is missing."""

    def remove(path: Path) -> None:
        rewritten(path, lambda tensors: {n: v for n, v in tensors.items() if n != name})

    return remove


def with_facts(**changes: object) -> Callable[[Path], None]:
    """It says something else."""

    def change(path: Path) -> None:
        with open(path, "rb") as opened:
            tensors = load_state_dict(opened)
        facts = json.loads(tensors["facts"].numpy().tobytes()) | changes
        tensors["facts"] = torch.tensor(list(json.dumps(facts).encode()), dtype=torch.uint8)
        with open(path, "wb") as opened:
            save_state_dict(tensors, opened)

    return change


def rewritten(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the tensors of a checkpoint, but not what it says of them."""
    with open(path, "rb") as opened:
        tensors = load_state_dict(opened)
    with open(path, "wb") as opened:
        save_state_dict(change(tensors) | {"facts": tensors["facts"]}, opened)


@pytest.mark.parametrize(
    "damage",
    [
        *(flipped, cut, hostile, hostile_archive, other_shapes, nan),
        *(without("best.fc.bias"), without("net.fc.bias"), without("sums"), without("random.cpu")),
        *(without("momentum.fc.bias"), without("momentum.layer3.1.conv1.weight")),
        *(with_facts(format=2), with_facts(history=3), with_facts(history=[{"epoch": 1}])),
        *(with_facts(batches=-1), with_facts(images="x"), with_facts(elapsed=None)),
        *(with_facts(trained="x"), with_facts(trained=0.0)),
        with_facts(finished=True, ended="yesterday"),
    ],
)
def test_that_is_damaged(
    run: Run,
    stopped: Path,
    output: Path,
    undisturbed: dict[str, object],
    damage: Callable[[Path], None],
) -> None:
    """Is set aside with one warning; the run begins anew."""
    damage(stopped)
    code, out, err = run()
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("warning: trained_model: the checkpoint cannot be used, it ")
    assert "this job begins anew" in line
    assert "Resuming" not in out
    assert not Path("mark-of-a-payload").exists()
    check(output, undisturbed)


def test_that_cannot_be_read(run: Run, stopped: Path) -> None:
    """Is no reason to lose it."""
    stopped.unlink()
    stopped.mkdir()
    code, _, err = run()
    assert code == 1
    assert err.startswith("FailedToWriteOutputsError (0160): trained_model: the checkpoint ")
    assert "cannot be read (Is a directory)" in err
    assert stopped.exists()


def test_that_is_damaged_and_cannot_be_renamed(run: Run, stopped: Path) -> None:
    """Ends the run in one line: what is in the way may be of use to somebody."""
    cut(stopped)
    in_the_way = stopped.with_suffix(file.DAMAGED)
    in_the_way.mkdir()
    code, _, err = run()
    assert code == 1
    (line,) = err.splitlines()
    assert line.startswith("FailedToWriteOutputsError (0160): trained_model: the checkpoint ")
    assert "nor be renamed (Is a directory); remove it to begin anew" in line
    assert stopped.exists()


def test_a_read_of_it_that_never_returns(
    run: Run, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends the run, and it is there still."""
    for_ever = threading.Event()

    def hanging(*_: object) -> NoReturn:
        for_ever.wait(60)
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr(file, "load_state_dict", hanging)
    monkeypatch.setattr(patience, "PATIENCE_S", 1.0)
    code, _, err = run()
    for_ever.set()
    assert code == 1
    assert err.startswith("StorageTimeoutError (0072): trained_model: nothing could be read for 1 ")
    assert stopped.exists()


@pytest.mark.parametrize("name", ["ENOSPC", "EIO", "EACCES", "EMFILE", "EROFS"])
def test_that_cannot_be_written(
    run: Run,
    output: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """Costs a warning; training goes on."""
    number = getattr(errno, name)

    def failing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(file, "save_state_dict", failing)
    code, _, err = run()
    assert code == 0
    (line,) = err.splitlines()
    assert line.startswith("warning: trained_model: a checkpoint cannot be written (")
    assert os.strerror(number) in line
    check(output, undisturbed)


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the output fail, as on a disk that has been filled up meanwhile."""

    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("train_pytorch_model.train.write_history", failing)


@pytest.mark.parametrize("exists", [True, False])
def test_a_disk_that_is_full_at_the_end(
    run: Run,
    output: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    exists: bool,
) -> None:
    """The weights are kept, and the message says how to go on without training again."""
    if exists:
        output.mkdir()
    with monkeypatch.context() as patch:
        fill_disk(patch)
        code, _, err = run()
    assert code == 1
    assert err.startswith("FailedToWriteOutputsError (0160): trained_model: ")
    assert "No space left on device" in err
    assert "run the same command again: what is trained is kept" in err
    with monkeypatch.context() as patch:
        patch.setattr(fit, "train_step", None)  # nothing is trained
        code, out, err = run()
    assert (code, err) == (0, "")
    assert "Resuming after epoch 3" in out
    check(output, undisturbed)


@pytest.mark.parametrize("entries", [("model",), ("model", "model_spec.yaml"), ("_meta.yaml",)])
def test_an_output_that_was_put_there_in_part(
    run: Run,
    output: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    entries: tuple[str, ...],
) -> None:
    """Is finished; one that was whole is left as it is, and the checkpoint goes."""
    with monkeypatch.context() as patch:
        fill_disk(patch)
        run()
    beside = output.with_name(f".checkpoint-{output.name}")
    copy = shutil.copytree(beside, output.with_name("copy"))
    assert run()[0] == 0
    if "_meta.yaml" not in entries:
        for path in output.iterdir():
            if path.name not in entries:
                path.unlink()
    copy.rename(beside)
    code, _, err = run()
    assert (code, err) == (0, "")
    check(output, undisturbed)


def test_an_output_that_another_machine_has_put_there_in_part(
    run: Run, output: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is finished too: what it says of itself is what trained it, not what writes it."""
    output.mkdir()
    with monkeypatch.context() as patch:
        fill_disk(patch)
        run()
    (path,) = (output / ".checkpoint").iterdir()
    with_facts(device="CPU, 99 threads, VSX")(path)
    copy = shutil.copytree(output / ".checkpoint", output.with_name("copy"))
    assert run()[0] == 0
    (output / "_meta.yaml").unlink()
    copy.rename(output / ".checkpoint")
    code, _, err = run()
    assert (code, err) == (0, "")
    assert json.loads((output / "training.json").read_text())["device"] == "CPU, 99 threads, VSX"
    check(output, undisturbed, but={"training.json"})


def test_an_output_with_something_else_in_it(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is not touched, and neither is the checkpoint."""
    with monkeypatch.context() as patch:
        fill_disk(patch)
        run()
    output.mkdir()
    (output / "precious").write_text("x")
    code, _, err = run()
    assert code == 1
    assert "it holds another 'precious'" in err
    assert [p.name for p in output.iterdir()] == ["precious"]
    (output / "precious").unlink()
    assert run()[0] == 0


@pytest.mark.parametrize("whole", [True, False])
def test_images_that_have_changed(
    run: Run, stopped: Path, training: Path, tmp_path: Path, whole: bool
) -> None:
    """Are named; a model of both would be of neither."""
    changed = shutil.copytree(training, tmp_path / "changed")
    if whole:
        picture(77).save(changed / "cat" / "003.png")
    else:
        (changed / "cat" / "003.png").write_bytes(b"no picture any more")
    code, _, err = run({"--train-data-path": changed})
    assert code == 1
    assert "1 of 12 images have changed since they were first read: 'cat/003.png'" in err


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("trained", [True, False])
def test_images_that_have_become_readable(
    run: Run,
    output: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trained: bool,
    cache: str,
) -> None:
    """Stay left out, as they would have been if the run had not been stopped."""
    counts = {"cat": 50, "dog": 50}
    changes: dict[str, object] = {"--batch-size": 25, "--epochs": 2, "--cache": cache}
    for seed, flag in enumerate(("--train-data-path", "--valid-data-path")):
        changes[flag] = class_folders(tmp_path / flag, counts, size=8, seed=seed)
        (tmp_path / flag / "cat/000.png").write_bytes(b"no picture yet")
    assert run({**changes, "--trained-model-path": tmp_path / "undisturbed"})[0] == 0
    expected = content(tmp_path / "undisturbed")
    with monkeypatch.context() as patch:
        if trained:
            fill_disk(patch)
        else:
            patch.setattr(fit, "evaluate", in_epoch_two(MemoryError()))
        assert run(changes)[0] == 1
    for flag in ("--train-data-path", "--valid-data-path"):
        picture(0, size=9).save(tmp_path / flag / "cat/000.png")
    code, out, err = run(changes)
    assert code == 0, err
    assert "Resuming" in out
    assert err.count("1 of 100 images cannot be read and are left out: cat/000.png: ") == 2
    assert content(output) == expected


@pytest.mark.parametrize("gone", [True, False], ids=["storage", "category"])
def test_images_that_are_not_left_out_yet(
    run: Run, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: bool
) -> None:
    """Are read again: too many for a run to leave out, they are there again when it goes on."""
    folder = class_folders(tmp_path / "images", {"cat": 299, "dog": 1}, size=32)
    good = (folder / "dog/000.png").read_bytes()
    if not gone:
        (folder / "dog/000.png").write_bytes(b"no picture yet")
    changes: dict[str, object] = {"--train-data-path": folder, "--batch-size": 25, "--epochs": 1}
    with monkeypatch.context() as patch:
        interrupting(patch, fit, "train_step")
        interrupted, refused = fit.train_step, []

        def unanswered(_: object, index: int) -> bytes:
            refused.append(index)
            raise UnreadableImageError("Transport endpoint is not connected")

        def step(*given: Any) -> Any:
            if gone:
                patch.setattr(labelled_images, "read_content", unanswered)
            time.sleep(0.5)  # for images to be read ahead
            return interrupted(*given)

        patch.setattr(fit, "train_step", step)
        code, _, err = run(changes)
    assert (code, bool(refused)) == (130, gone), err
    (folder / "dog/000.png").write_bytes(good)
    code, out, err = run(changes)
    assert (code, err) == (0, "")
    assert "Resuming in epoch 1 after batch 1" in out
    assert json.loads((output / "training.json").read_text())["datasets"]["training_dataset"][
        "images_per_category"
    ] == {"cat": 299, "dog": 1}


def test_a_signal_while_a_run_that_goes_on_opens_its_images(
    run: Run, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Says that there is something to go on from still."""
    interrupting(monkeypatch, story, "open_labelled_images")
    code, _, err = run()
    assert (code, err) == (130, "interrupted; run the same command again to go on\n")
    assert stopped.exists()


@pytest.mark.parametrize(
    "told",
    [None, 3, {"training_dataset": 3}, {"training_dataset": {"cat": "", "-1": "", "12": ""}}],
)
def test_that_does_not_say_what_was_unreadable(
    run: Run, stopped: Path, output: Path, undisturbed: dict[str, object], told: object
) -> None:
    """As before it was kept: all was readable, as far as is known."""
    with_facts(unreadable=told)(stopped)
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "Resuming after epoch 1" in out
    check(output, undisturbed)


def interrupting(monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
    """Let Ctrl-C come, once, when a function is called; it comes before the function begins."""
    really = getattr(where, name)

    def interrupted(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(where, name, really)
        os.kill(os.getpid(), signal.SIGINT)
        return really(*args, **options)

    monkeypatch.setattr(where, name, interrupted)


@pytest.mark.parametrize("minutes", [2, 0])
@pytest.mark.parametrize(
    ("where", "name"),
    [(fit, "Fit"), (story, "warn_of_images"), (story, "write_history")],
    ids=["after the last step", "after training", "while the output is written"],
)
def test_a_signal_when_all_is_trained(
    run: Run,
    output: Path,
    undisturbed: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    minutes: int,
) -> None:
    """Ends the run, which says how to go on where there is something to go on from."""
    interrupting(monkeypatch, where, name)
    code, _, err = run({"--checkpoint-minutes": minutes})
    message = "run the same command again to go on" if minutes else "nothing is written"
    assert (code, err) == (130, f"interrupted; {message}\n")
    assert not output.exists()
    code, out, err = run({"--checkpoint-minutes": minutes})
    assert (code, err) == (0, "")
    assert ("Resuming after epoch 3" in out) == bool(minutes)
    check(output, undisturbed)


def test_a_signal_when_the_output_is_whole(
    run: Run, output: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has nothing to end any more."""
    interrupting(monkeypatch, file.Checkpoint, "remove_all")
    code, out, err = run()
    assert (code, err) == (0, "")
    assert "Stopped because all 3 epochs are done." in out
    check(output, undisturbed)


def test_a_pause_does_not_count_as_training(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does validation: a run that is stopped in it trains as fast as it trained."""
    with monkeypatch.context() as patch:
        interrupting(patch, fit, "Sums")
        evaluate = fit.evaluate
        patch.setattr(fit, "evaluate", lambda *given: (time.sleep(2), evaluate(*given))[1])
        code, _, err = run()
    assert code == 130
    assert "go on in epoch 1 after batch 3" in err
    assert run()[0] == 0
    with open(output / "history.csv", encoding="utf-8", newline="") as history:
        row = next(csv.DictReader(history))
    assert 12 / float(row["images_per_second"]) <= float(row["seconds"]) - 2


@pytest.mark.parametrize(("name", "initial"), [("train_step", [4, 0, 0]), ("Sums", [0, 0])])
def test_progress_after_a_pause(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, initial: list[int]
) -> None:
    """In training or in validation: a bar begins where the run was, and ends at all images."""
    with monkeypatch.context() as patch:
        interrupting(patch, fit, name)
        assert run()[0] == 130
    bars = []
    really = console.progress_bar
    monkeypatch.setattr(
        console, "progress_bar", lambda *given: bars.append(really(*given)) or bars[-1]
    )
    assert run()[0] == 0
    assert [(bar.n, bar.total) for bar in bars] == [(12, 12)] * len(initial)
    assert [bar.initial for bar in bars] == initial


def test_a_second_signal(run: Run, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the run at once; what was kept before is there still, and the run says so."""

    def impatient(*_: object) -> NoReturn:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr(fit, "train_step", impatient)
    code, _, err = run()
    assert (code, err) == (130, "interrupted; run the same command again to go on\n")
    assert stopped.exists()


def test_on_another_device(
    run: Run, stopped: Path, output: Path, undisturbed: dict[str, object]
) -> None:
    """Or with another number of threads: it goes on, and says what that means."""
    with_facts(device="CPU, 99 threads")(stopped)
    code, out, err = run()
    assert code == 0
    assert "warning: trained_model: it was begun on CPU, 99 threads and goes on on CPU, " in err
    assert "Resuming after epoch 1" in out
    check(output, undisturbed)


def test_on_another_kind_of_processor(
    run: Run, stopped: Path, output: Path, undisturbed: dict[str, object]
) -> None:
    """Which rounds differently, whatever its device is called."""
    name, here = f"CPU, {torch.get_num_threads()} threads", torch.backends.cpu.get_cpu_capability()
    with_facts(device=f"{name}, VSX")(stopped)
    code, out, err = run()
    assert code == 0, err
    assert err == (
        f"warning: trained_model: it was begun on {name}, VSX and goes on on {name}, {here}, which "
        "may round otherwise.\n"
    )
    assert f"validating on 6, on {name}.\n" in out
    check(output, undisturbed)


def test_none_is_kept_when_the_loss_is_not_finite(run: Run, output: Path) -> None:
    """The same command would end there again."""
    changes = {"--learning-rate": 1e30, "--num-warmup-steps": 1, "--epochs": 2}
    code, _, err = run(changes)
    assert code == 1
    assert err.startswith("DivergedError")
    assert list(output.parent.iterdir()) == []


def test_none_can_be_removed_when_the_loss_is_not_finite(run: Run, output: Path) -> None:
    """What the user hears of is the loss."""
    output.with_name(f".checkpoint-{output.name}").write_text("a file, where a folder would be")
    code, _, err = run({"--learning-rate": 1e30, "--num-warmup-steps": 1, "--epochs": 2})
    assert code == 1
    warning, line = err.splitlines()
    assert "a checkpoint cannot be written (File exists)" in warning
    assert line.startswith("DivergedError")


def test_none_is_kept_where_none_is_wanted(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is there any at the end."""
    fill_disk(monkeypatch)
    code, _, err = run({"--checkpoint-minutes": 0})
    assert code == 1
    assert "run the same command again" not in err
    assert list(output.parent.iterdir()) == []


def test_a_disk_with_too_little_space(
    run: Run, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told before training."""
    real = os.statvfs

    def small(path: str) -> os.statvfs_result:
        fields = list(real(path))
        fields[1], fields[4] = 1, 10_000_000
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", small)
    code, _, err = run()
    assert code == 1
    assert err.startswith("FailedToWriteOutputsError (0160): trained_model: found 10 MB of free")
    assert "expected 313 MB" in err
    assert list(output.parent.iterdir()) == []


def test_a_clock_that_jumps(
    run: Run, output: Path, undisturbed: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a year, back and forth: intervals are measured by another one."""
    now, jumps = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: now() + (next(jumps) % 3 - 1) * 3e7)
    code, _, err = run()
    assert (code, err) == (0, "")
    check(output, undisturbed)
