"""What a run says of itself: before it trains, when it ends, and in ``training.json``."""

from dataclasses import asdict
from typing import Any

from train_pytorch_model.data.labelled_images import LabelledImages
from train_pytorch_model.engine.fit import Fit
from train_pytorch_model.engine.runtime import Runtime
from train_pytorch_model.errors import examples, quoted
from train_pytorch_model.job import Job
from train_pytorch_model.report.console import say, warn


def announce(
    job: Job, runtime: Runtime, model: str, training: LabelledImages, validation: LabelledImages
) -> None:
    """Say what is about to be trained, and what of it is unusual."""
    height, width = training.size
    classes = training.image_set.schema.classes
    say(
        f"Training {model} for {len(classes)} categories on {len(training):,} images of "
        f"{width}x{height} pixels, validating on {len(validation):,}, on {runtime.name}."
    )
    if training.file is not None:
        say(
            f"Decoded training images are kept in a file in {training.file.folder}, which is gone "
            "when the run ends."
        )
    if validation.size != training.size:
        warn(
            f"validation images are of {validation.size[1]}x{validation.size[0]} pixels, training "
            "images of another size; apply the same image transformation to both."
        )
    listed = set(training.image_set.labels.tolist())
    absent = [n for i, n in training.image_set.schema.categories.items() if i not in listed]
    if absent:
        warn(f"training_dataset: {len(absent)} categories have no image: {quoted(absent)}.")


def warn_of_images(*data_sets: LabelledImages) -> None:
    """Warn of images that were left out, and of those that could not be kept."""
    for images in data_sets:
        if images.unreadable:
            warn(
                f"{images.image_set.port}: {len(images.unreadable):,} of {len(images):,} images "
                f"cannot be read and are left out: {examples(images.unreadable)}."
            )
        if images.file is not None and images.file.problem is not None:
            warn(
                f"{images.image_set.port}: not all decoded images could be kept in "
                f"{images.file.folder} ({images.file.problem}); the others were decoded anew in "
                "each epoch, which takes longer."
            )


def announce_end(job: Job, result: Fit) -> None:
    """Say why training ended, how good the model is, and where."""
    say(
        f"Stopped because {result.stopped_because}. The model of epoch {result.best.epoch} "
        f"(validation loss {result.best.validation_loss:.4f}, top-1 accuracy "
        f"{result.best.validation_top1:.1%}) is in {job.trained_model}"
    )


def summary(
    job: Job,
    trained_on: str,
    model: str,
    training: LabelledImages,
    validation: LabelledImages,
    result: Fit,
) -> dict[str, Any]:
    """The content of ``training.json``."""
    return {
        "model_name": model,
        "parameters": asdict(job.params),
        "warmup_epochs": job.warmup_epochs,
        "device": trained_on,
        "datasets": {
            images.image_set.port: {
                "images": len(images.readable),
                "height": images.size[0],
                "width": images.size[1],
                "images_per_category": images.images_per_category,
                "unreadable": list(images.unreadable),
            }
            for images in (training, validation)
        },
        "epochs_run": len(result.history),
        "best_epoch": result.best.epoch,
        "best_validation_loss": result.best.validation_loss,
        "stopped_because": result.stopped_because,
    }
