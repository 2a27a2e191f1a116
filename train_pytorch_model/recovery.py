"""What a job that is started again finds of the run before: its checkpoint."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from train_pytorch_model import __version__
from train_pytorch_model.data.labelled_images import Found, LabelledImages
from train_pytorch_model.engine.checkpoints import Write
from train_pytorch_model.engine.state import TrainState
from train_pytorch_model.errors import FailedToWriteOutputsError
from train_pytorch_model.job import Job
from train_pytorch_model.ports.checkpoint import Checkpoint, Identity, Saved
from train_pytorch_model.ports.fingerprint import images_digest, model_digest
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.model_directory import ModelDirectory
from train_pytorch_model.ports.output import check_output, check_space
from train_pytorch_model.ports.paths import reason
from train_pytorch_model.report.console import say, warn

_COPIES = 3
"""Of each weight in a checkpoint: itself, its momentum, and that of the best epoch."""

_UNREADABLE = "unreadable"


def identity(
    job: Job, untrained: ModelDirectory, training: ImageSet, validation: ImageSet
) -> Identity:
    """What decides the numbers of a run, but for its device: a checkpoint of another is useless."""
    return {
        untrained.port: model_digest(untrained),
        training.port: images_digest(training),
        validation.port: images_digest(validation),
        **asdict(job.params),
        "warmup_epochs": job.warmup_epochs,
        "precision": job.precision,
        "train_pytorch_model": __version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
    }


def space_needed(job: Job, net: nn.Module) -> int:
    """The bytes that the output takes, and two checkpoints, if there are to be any.

    While one is written, the one before is there.
    """
    model: int = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    return model + (2 * _COPIES * model if job.checkpoint_minutes else 0)


def find(checkpoint: Checkpoint, job: Job, space: int) -> Saved | None:
    """What the run before has kept; None where this one begins anew.

    Args:
        checkpoint: of the job.
        job: the job.
        space: what the job needs; see ``space_needed``.

    Raises:
        FailedToWriteOutputsError: the output is not empty, or there is no space for checkpoints;
            or there is one that cannot be read.
    """
    try:
        saved = checkpoint.read()
        if saved is None:
            _tell_of_another(checkpoint)
    except ValueError as error:
        _set_aside(checkpoint, error)
        saved = None
    except OSError as error:
        raise FailedToWriteOutputsError(
            f"trained_model: the checkpoint {str(checkpoint.path)!r} cannot be read "
            f"({reason(error)}); make it readable and run again, or remove it to begin anew."
        ) from error
    if checkpoint.finished:
        return saved  # a part of the output may be there already
    check_output(job.trained_model, "trained_model")
    check_space(job.trained_model, "trained_model", space - checkpoint.size)
    return saved


def resume(checkpoint: Checkpoint, saved: Saved, state: TrainState, batches: int, on: str) -> str:
    """Bring ``state`` to where the run before was, and say so.

    Args:
        checkpoint: of the run.
        saved: what it holds.
        state: of a run that begins.
        batches: how many there are in an epoch.
        on: what this run computes on, ``Runtime.rounding``; a warning tells of another.

    Returns:
        What the last epoch is computed on: ``on``, or what the run before says where that was over.
    """
    try:
        state.restore(saved.facts, saved.tensors)
    except ValueError as error:
        _set_aside(checkpoint, error)
        return on
    of = f" of {batches}" if state.batches else ""
    say(f"Resuming {state.position}{of}, from the checkpoint of {saved.written}.")
    was = str(saved.facts.get("device"))
    if state.ended is not None:
        return was
    if was != on:
        warn(
            f"trained_model: it was begun on {was} and goes on on {on}, which may round otherwise."
        )
    return on


def writing(checkpoint: Checkpoint, on: str, *data_sets: LabelledImages) -> Write:
    """What writes a run's state to its checkpoint, and with it what is known of its images.

    Args:
        checkpoint: of the run.
        on: what the run computes on, ``Runtime.rounding``.
        data_sets: its images.
    """

    def write(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        found = {images.image_set.port: images.found for images in data_sets}
        checksums = {
            _checksums_of(port): torch.from_numpy(images.checksums.view(np.int32))
            for port, images in found.items()
        }
        unreadable = {port: images.unreadable for port, images in found.items()}
        checkpoint.write({**facts, "device": on, _UNREADABLE: unreadable}, {**tensors, **checksums})

    return write


def found_before(saved: Saved | None, images: ImageSet) -> Found | None:
    """What the run before has found of these images; None where there was none."""
    checksums = None if saved is None else saved.tensors.get(_checksums_of(images.port))
    if saved is None or checksums is None:
        return None
    if checksums.dtype != torch.int32 or checksums.shape != (len(images),):
        return None
    return Found(checksums.numpy().view(np.uint32), _unreadable(saved.facts, images))


def _unreadable(facts: Mapping[str, Any], images: ImageSet) -> dict[int, str]:
    """Index → why, as a checkpoint tells it; JSON's keys are texts."""
    ports = facts.get(_UNREADABLE)
    told = ports.get(images.port) if isinstance(ports, dict) else None
    if not isinstance(told, dict):
        return {}
    return {i: str(told[str(i)]) for i in range(len(images)) if str(i) in told}


def _checksums_of(port: str) -> str:
    return f"checksums.{port}"


def _tell_of_another(checkpoint: Checkpoint) -> None:
    other = checkpoint.newest_other()
    if other is not None:
        warn(
            f"trained_model: the checkpoint {str(other)!r} is of another job "
            f"({checkpoint.differences(other)}); it stays there until the output is complete, "
            "and this job begins anew."
        )


def _set_aside(checkpoint: Checkpoint, error: ValueError) -> None:
    try:
        aside = checkpoint.set_aside()
    except OSError as refusal:
        raise FailedToWriteOutputsError(
            f"trained_model: the checkpoint {str(checkpoint.path)!r} cannot be used, it {error}, "
            f"nor be renamed ({reason(refusal)}); remove it to begin anew, and run again."
        ) from refusal
    warn(
        f"trained_model: the checkpoint cannot be used, it {error}; it is now {str(aside)!r}, and "
        "this job begins anew."
    )
