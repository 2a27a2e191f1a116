"""Runs of their own process, which are killed and started again."""

import csv
import errno
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock
from typing import NoReturn

import yaml

from tests.conftest import Arguments
from train_pytorch_model.cli import main
from train_pytorch_model.ports.checkpoint import has_checkpoint

FASTEST = 0.0001
"""Minutes between two checkpoints: after every batch there is one, if the last is written."""

# Processes are forked from one that has imported everything, which takes longer than they live.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.faults.runs", "train_pytorch_model.train"])

# To start a process asks all of them how they have ended. The answer comes once: a thread that asks
# at the same time would be told 255.
_ASKING = Lock()


@dataclass
class Job:
    """A command line, how its output is given, and where its processes print.

    ``kind`` is ``absent`` or ``empty``, or ``mount``: a directory that cannot be renamed over.
    """

    arguments: Arguments
    output: Path
    log: Path
    kind: str = "absent"

    def __post_init__(self) -> None:
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch()
        if self.kind != "absent":
            self.output.mkdir()

    def start(self) -> BaseProcess:
        """Start a process."""
        given = {**self.arguments, "--trained-model-path": self.output}
        words = [str(word) for pair in given.items() for word in pair]
        mount = str(self.output) if self.kind == "mount" else ""
        process = _PROCESSES.Process(target=_train, args=(words, str(self.log), mount))
        with _ASKING:
            process.start()
        return process

    def end(self, process: BaseProcess) -> int | None:
        """Wait for the end; returns the exit code, or the negative number of a signal."""
        wait([process.sentinel], 120)
        with _ASKING:
            return process.exitcode

    def finish(self) -> None:
        """Start it once more, and let it be, unless it was killed when all was done."""
        done = (self.output / "_meta.yaml").exists() and not has_checkpoint(self.output)
        code = 0 if done else self.end(self.start())
        assert code == 0, f"exit code {code}: {self.printed}"

    def kill_when(self, happened: Callable[[], bool]) -> bool:
        """Start it and kill it when something has happened; whether it had not ended before."""
        process = self.start()
        while not wait([process.sentinel], 0.001) and not happened():
            pass
        process.kill()
        code = self.end(process)
        assert code in (0, -signal.SIGKILL), f"exit code {code}: {self.printed}"
        return code != 0

    def kill_after(self, seconds: float) -> bool:
        """Start it and kill it after a time; whether it had not ended before."""
        until = time.monotonic() + seconds
        return self.kill_when(lambda: time.monotonic() > until)

    @property
    def printed(self) -> str:
        """What all of its processes have printed."""
        return self.log.read_text()


def _train(words: list[str], log: str, mount: str) -> NoReturn:
    """Train, with checkpoints as often as they can be written; in the process."""
    import torch

    from train_pytorch_model.engine import checkpoints

    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    torch.set_num_threads(1)
    checkpoints.COST_RATIO = 0
    rename = os.rename

    def refusing(source: str, target: str) -> None:
        if str(target) == mount:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rename(source, target)

    os.rename = refusing  # type: ignore[assignment]  # only here
    sys.exit(main(words))


def content(output: Path) -> dict[str, object]:
    """Everything in a model directory, but for when it was made, and how long that took."""
    files: dict[str, object] = {p.name: p.read_bytes() for p in output.iterdir()}
    spec = yaml.safe_load((output / "model_spec.yaml").read_text())
    del spec["time_created"]
    with open(output / "history.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"], row["images_per_second"]
    return {**files, "history.csv": rows, "model_spec.yaml": spec}


def killed_at_random(job: Callable[[int], Job], kills: int, life_s: float, seed: int) -> list[Job]:
    """Kill runs at moments all over their life until there are so many kills; returns all runs.

    Args:
        job: makes the n-th job.
        kills: how many.
        life_s: how long a run takes that is not killed.
        seed: of the moments.
    """
    moments = random.Random(seed)
    jobs = [job(0)]
    while kills:
        began = time.monotonic()
        if jobs[-1].kill_after(moments.uniform(0, 1.1) * life_s):
            kills -= 1
        else:  # the machine has less to do than before
            life_s = min(life_s, time.monotonic() - began)
        if (jobs[-1].output / "_meta.yaml").exists():  # it was as fast as that
            jobs[-1].finish()
            jobs.append(job(len(jobs)))
    jobs[-1].finish()
    return jobs
