"""The checkpoint of a run: what it needs to go on, in its output or beside it.

Azure gives a job its output as a directory that is there, often a mount whose parent is a folder
of the node, so a checkpoint lies in the output (``.checkpoint/``) where there is one when the run
begins; else beside it (``.checkpoint-NAME/``). Its file is one that PyTorch saves, of tensors
alone: a stranger's data, like every other input. It is named by the job that it is of, so that
those of other jobs stay aside, untouched, and a job that is started again finds its own.
"""

import hashlib
import json
import os
import shutil
import time
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from train_pytorch_model.errors import shortened
from train_pytorch_model.ports.output import CHECKPOINT, flush_entry, hidden_beside
from train_pytorch_model.ports.state_dict import load_state_dict, save_state_dict

FORMAT = 1
"""Of the file; what another format means is for the version that wrote it."""

ENDING = ".pt"
PARTIAL = ".partial"
DAMAGED = ".damaged"

_FACTS = "facts"

Identity = Mapping[str, str | int | float]
"""What a job is made of: each parameter by its value, each input by a digest ``sha256:…``."""


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes:
        facts: numbers and texts, as JSON has them.
        tensors: by name, on the CPU.
        written: when, for people.
    """

    facts: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    written: str


class Checkpoint:
    """The checkpoint that the run of one job into one output has or will have.

    Attributes:
        there: whether it is known that a run can go on from it.
        finished: whether it is known to hold all that the output is made of.

    Args:
        output: the output's path.
        identity: what the job is made of; of another one, the checkpoint is another.
    """

    def __init__(self, output: Path, identity: Identity) -> None:
        inside, beside = _folders(output)
        self.folder = inside if inside.parent.is_dir() and not beside.is_dir() else beside
        self.identity = dict(identity)
        self.there = self.finished = False
        canonical = json.dumps(self.identity, sort_keys=True).encode()
        self._places = (inside, beside)
        self._name = hashlib.sha256(canonical).hexdigest()[:16] + ENDING

    @property
    def path(self) -> Path:
        """Where it is written."""
        return self.folder / self._name

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write it; until it is whole and on the disk, the one before stays.

        Raises:
            OSError: it cannot be written.
        """
        document = {**facts, "format": FORMAT, "identity": self.identity}
        encoded = np.frombuffer(json.dumps(document).encode(), np.uint8).copy()
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True)
            _flush_if_possible(self.folder.parent)
        partial = self.path.with_suffix(PARTIAL)
        try:
            with open(partial, "wb") as file:
                save_state_dict({_FACTS: torch.from_numpy(encoded), **tensors}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, self.path)
        except BaseException:
            with suppress(OSError):  # a full disk has no use for half of it
                partial.unlink(missing_ok=True)
                self.folder.rmdir()  # if that was the first
            raise
        self.there, self.finished = True, facts.get("finished") is True
        _flush_if_possible(self.folder)

    def read(self) -> Saved | None:
        """What it holds; None where there is none.

        Raises:
            OSError: it cannot be read.
            ValueError: it is damaged.
        """
        path = next((p for p in self._of_name() if p.exists()), None)
        saved = None if path is None else _read(path)
        self.there = saved is not None
        self.finished = saved is not None and saved.facts.get("finished") is True
        return saved

    @property
    def size(self) -> int:
        """How many bytes it takes; 0 where there is none."""
        return sum(p.stat().st_size for p in self._of_name() if p.exists())

    def newest_other(self) -> Path | None:
        """The last checkpoint of another job for the same output; those before it are removed."""
        found = [
            (path.stat().st_mtime, path)
            for folder in self._places
            if folder.is_dir()
            for path in folder.iterdir()
            if path.suffix == ENDING and path.name != self._name
        ]
        paths = [path for _, path in sorted(found)]
        for path in paths[:-1]:
            path.unlink()
        return paths[-1] if paths else None

    def differences(self, other: Path) -> str:
        """In what the job of another checkpoint differs: ``epochs was 3, is 5``."""
        try:
            theirs = _read(other).facts["identity"]
            keys = [*self.identity, *sorted(theirs.keys() - self.identity.keys())]
            changed = [(k, theirs.get(k), self.identity.get(k)) for k in keys]
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return "it cannot be read"
        return ", ".join(
            f"{key} has changed"
            if str(ours).startswith("sha256:")
            else f"{shortened(str(key))} was {shortened(str(was))}, is {ours}"
            for key, was, ours in changed
            if was != ours
        )

    def set_aside(self) -> Path:
        """Give it another name, since it cannot be used; returns that.

        Raises:
            OSError: it cannot be renamed.
        """
        self.there = self.finished = False
        path = next(p for p in self._of_name() if p.exists())
        return path.rename(path.with_suffix(DAMAGED))

    def discard(self) -> None:
        """Remove it, and the folder that has nothing else in it.

        Raises:
            OSError: it cannot be removed.
        """
        self.there = self.finished = False
        for path in self._of_name():
            path.unlink(missing_ok=True)
            with suppress(OSError):  # another job's checkpoint is in it, or it was not there
                path.parent.rmdir()

    def remove_all(self) -> None:
        """Remove it and those of other jobs, wherever they are."""
        for folder in self._places:
            shutil.rmtree(folder, ignore_errors=True)

    def _of_name(self) -> tuple[Path, ...]:
        return tuple(folder / self._name for folder in self._places)


def has_checkpoint(output: Path) -> bool:
    """Whether a run into ``output`` has left a checkpoint, of whatever job."""
    with suppress(OSError):  # what cannot be listed, ``check_output`` tells of
        for folder in filter(Path.is_dir, _folders(output)):
            if any(path.suffix == ENDING for path in folder.iterdir()):
                return True
    return False


def _folders(output: Path) -> tuple[Path, Path]:
    """Where the checkpoints of an output may lie: in it, and beside it."""
    target = Path(os.path.realpath(output))
    return target / CHECKPOINT, hidden_beside(target, CHECKPOINT)


def _read(path: Path) -> Saved:
    with open(path, "rb") as file:
        written = time.localtime(os.fstat(file.fileno()).st_mtime)
        tensors = load_state_dict(file)
        _check_whole(file)
    facts = _parsed(tensors.pop(_FACTS, None))
    return Saved(facts, tensors, time.strftime("%Y-%m-%d %H:%M:%S", written))


def _check_whole(file: BinaryIO) -> None:
    """Compare the checksums in a file of PyTorch's, which PyTorch itself does not."""
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except OSError:
        raise
    except Exception as error:  # zipfile raises anything on a damaged file
        raise ValueError("is not whole") from error
    if damaged is not None:
        raise ValueError("has another checksum than its own")


def _parsed(encoded: Tensor | None) -> dict[str, Any]:
    if encoded is None or encoded.dtype != torch.uint8 or encoded.dim() != 1:
        raise ValueError("does not say what it holds")
    try:
        facts = json.loads(encoded.numpy().tobytes())
    except (ValueError, RecursionError) as error:
        raise ValueError("does not say what it holds") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError(f"is not of format {FORMAT}")
    return facts


def _flush_if_possible(folder: Path) -> None:
    with suppress(OSError):  # some folders may be written to and not be opened
        flush_entry(folder)
