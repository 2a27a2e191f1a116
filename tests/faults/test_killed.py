"""A run that is killed goes on when it is started again, and ends as if nothing had been."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Arguments, class_folders, create
from tests.faults.runs import FASTEST, Job, content, killed_at_random

KINDS = ("absent", "empty", "mount")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> Arguments:
    """Three epochs of a network that drops out, so that a run has a random state too."""
    inputs = tmp_path_factory.mktemp("inputs")
    create("mobilenet_v3_small", inputs / "model")
    return {
        "--untrained-model-path": inputs / "model",
        "--train-data-path": class_folders(inputs / "training", {"cat": 20, "dog": 20}),
        "--valid-data-path": class_folders(inputs / "validation", {"cat": 4, "dog": 4}, seed=1),
        "--epochs": 3,
        "--batch-size": 4,
        "--learning-rate": 0.01,
        "--device": "cpu",
        "--checkpoint-minutes": FASTEST,
    }


@pytest.fixture(scope="module")
def undisturbed(
    arguments: Arguments, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, object], float]:
    """The content of the output of a run that nothing befell, and the seconds that it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    jobs = [Job(arguments, folder / name, folder / f"{name}.log") for name in ("a", "b")]
    for job in jobs:  # the first starts what the processes are forked from
        began = time.monotonic()
        job.finish()
    assert content(jobs[0].output) == content(jobs[1].output)
    return content(jobs[0].output), time.monotonic() - began


def check(job: Job, expected: dict[str, object]) -> None:
    """The output is that of a run that nothing befell, and nothing else is left.

    A run that is killed while it removes its checkpoint may leave the empty folder.
    """
    for folder in (job.output / ".checkpoint", job.output.with_name(".checkpoint-out")):
        if folder.is_dir() and "Stopped because" not in job.printed:
            folder.rmdir()
    found = content(job.output)
    assert found.keys() == expected.keys(), job.printed
    assert [name for name in found if found[name] != expected[name]] == [], job.printed
    assert list(job.output.parent.iterdir()) == [job.output]


def test_at_random_moments(
    arguments: Arguments, undisturbed: tuple[dict[str, object], float], tmp_path: Path
) -> None:
    """Fifty of them, from the start to the end."""
    expected, life_s = undisturbed

    def chain(seed: int) -> list[Job]:
        def job(number: int) -> Job:
            name = f"{seed}-{number}"
            kind = KINDS[(seed + number) % len(KINDS)]
            return Job(arguments, tmp_path / name / "out", tmp_path / f"{name}.log", kind)

        return killed_at_random(job, 10, life_s, seed)

    with ThreadPoolExecutor(2) as pool:
        jobs = [job for chain_of_jobs in pool.map(chain, range(5)) for job in chain_of_jobs]
    for job in jobs:
        check(job, expected)
    assert any("Resuming" in job.printed for job in jobs)


def exists(pattern: str, output: Path) -> bool:
    """Whether there is a file of this name beside an output, or in it.

    Folders go away while they are looked through; os.walk passes over such a one.
    """
    return any(
        Path(folder, name).match(pattern)
        for folder, _, names in os.walk(output.parent)
        for name in names
    )


def is_there(name: str, output: Path) -> bool:
    """Whether an output has an entry of this name."""
    return (output / name).exists()


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "a checkpoint is being written": partial(exists, ".checkpoint*/*.partial"),
    "a checkpoint is written": partial(exists, ".checkpoint*/*.pt"),
    "the output is being written": partial(exists, ".partial-*/model"),
    "the output is almost written": partial(exists, ".partial-*/training.json"),
    "the output appears": partial(is_there, "model"),
    "the output is whole": partial(is_there, "_meta.yaml"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_at_chosen_moments(
    arguments: Arguments,
    undisturbed: tuple[dict[str, object], float],
    tmp_path: Path,
    kind: str,
) -> None:
    """Each job is killed at one of them, and started again."""

    def killed(moment: str) -> Job:
        job = Job(arguments, tmp_path / moment / "out", tmp_path / f"{moment}.log", kind)
        job.kill_when(lambda: MOMENTS[moment](job.output))
        job.finish()
        return job

    with ThreadPoolExecutor(2) as pool:
        for job in pool.map(killed, MOMENTS):
            check(job, undisturbed[0])


@pytest.mark.parametrize(
    ("number", "word"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")]
)
def test_a_signal_writes_a_checkpoint(
    arguments: Arguments,
    undisturbed: tuple[dict[str, object], float],
    tmp_path: Path,
    number: int,
    word: str,
) -> None:
    """And ends the run soon, with the shell's code and a line that says how to go on."""
    rare = {**arguments, "--checkpoint-minutes": 60}
    job = Job(rare, tmp_path / "folder" / "out", tmp_path / "log")
    process = job.start()
    while "  1/3" not in job.printed:
        time.sleep(0.001)  # until the first epoch is over
    assert process.pid is not None
    os.kill(process.pid, number)
    began = time.monotonic()
    assert job.end(process) == 128 + number
    assert time.monotonic() - began < 10
    assert f"{word}; run the same command again to go on " in job.printed
    job.finish()
    assert "Resuming" in job.printed
    check(job, undisturbed[0])
