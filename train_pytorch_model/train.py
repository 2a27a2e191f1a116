"""The story of a run: read → check → fit → write."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from train_pytorch_model.data.batches import TrainingBatches, ValidationBatches, source_of
from train_pytorch_model.data.decode import without_warnings
from train_pytorch_model.data.labelled_images import LabelledImages, open_labelled_images
from train_pytorch_model.data.memory import MemoryBudget
from train_pytorch_model.engine.fit import MOMENTUM, WEIGHT_DECAY, Fit, fit
from train_pytorch_model.engine.runtime import Runtime, memory_for, start
from train_pytorch_model.engine.schedule import decayed, learning_rate
from train_pytorch_model.errors import examples, quoted
from train_pytorch_model.job import Job
from train_pytorch_model.models.network import (
    check_batch,
    fit_to_sizes,
    network,
    original_state_dict,
    trained_spec,
)
from train_pytorch_model.ports.image_directory import (
    check_categories,
    labelled,
    read_image_directory,
    samples,
    take,
    with_labels_of,
)
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.model_directory import read_model_directory, write_trained_model
from train_pytorch_model.ports.output import check_output, whole_directory
from train_pytorch_model.report.console import EpochTable, say, warn
from train_pytorch_model.report.history import write_history, write_summary
from train_pytorch_model.report.sinks import open_sinks


def train(job: Job) -> Fit:
    """Train the model that a job names and write it.

    Raises:
        UserError: one of the named errors of ``errors``; nothing is written then.
    """
    check_output(job.trained_model, "trained_model")
    runtime = start(job.device, job.precision)
    untrained = read_model_directory(job.untrained_model, "untrained_model")
    training_set = _read_labelled(job, job.training_dataset, "training_dataset")
    validation_set = _read_labelled(job, job.validation_dataset, "validation_dataset")
    check_categories(training_set)
    validation_set = with_labels_of(validation_set, training_set)
    labels = training_set.schema.classes
    net = network(untrained, labels, job.params.random_seed)
    untrained = replace(untrained, weights={})  # the network has copies of them

    budget = MemoryBudget.of_this_machine()
    training = open_labelled_images(training_set, job.cache, budget)
    validation = open_labelled_images(validation_set, job.cache, budget)
    validation.read_in_background()
    layout = runtime.memory_format(training.size)
    batches = TrainingBatches(
        source_of(training, runtime.device),
        job.params.batch_size,
        job.params.random_seed,
        layout,
        meanwhile=validation,
    )
    check_batch(untrained, len(labels), batches.batch_size, training.size, training_set.port)
    check_batch(untrained, len(labels), 2, validation.size, validation_set.port)
    fit_to_sizes(net, untrained, {training.size, validation.size})
    _announce(job, runtime, untrained.spec.model_name, training, validation)

    table = EpochTable(job.params.epochs, len(batches) * batches.batch_size, job.print_frequency)
    parameters = asdict(job.params)
    too_large = _too_large(batches.batch_size)
    with (
        memory_for(too_large),
        without_warnings(),
        open_sinks(table, parameters, runtime.tracked) as sink,
    ):
        result = fit(
            net.to(runtime.device).to(memory_format=layout),
            batches,
            ValidationBatches(source_of(validation, runtime.device), job.params.batch_size, layout),
            job.params,
            sink,
            job.warmup_epochs,
            runtime.precision(),
        )
    _warn_of_what_is_left_out(training, validation)

    spec = trained_spec(untrained, len(labels), training_set.schema.image_column)
    weights = original_state_dict(net, unreached_weight(job, len(batches), result.best.epoch))
    schema, readable = training_set.schema.document, take(training_set, training.readable[:3])
    with whole_directory(job.trained_model, "trained_model") as folder:
        write_trained_model(folder, spec, weights, labels, schema, samples(readable))
        write_history(folder, result.history)
        write_summary(folder, _summary(job, runtime, spec.model_name, training, validation, result))
    say(
        f"Stopped because {result.stopped_because}. The model of epoch {result.best.epoch} "
        f"(validation loss {result.best.validation_loss:.4f}, top-1 accuracy "
        f"{result.best.validation_top1:.1%}) is in {job.trained_model}"
    )
    return result


def unreached_weight(job: Job, steps: int, epochs: int) -> float:
    """What weight decay leaves, after so many epochs, of a weight that no image reaches."""
    rates = [
        learning_rate(epoch, job.params.epochs, job.params.learning_rate, job.warmup_epochs)
        for epoch in range(epochs)
    ]
    return decayed(rates, steps, MOMENTUM, WEIGHT_DECAY)


def _too_large(batch_size: int) -> str:
    return (
        f"batch_size: training on {batch_size} images at once does not fit in memory; choose a "
        "smaller batch size, smaller images, or a larger compute."
    )


def _read_labelled(job: Job, path: Path, port: str) -> ImageSet:
    everything = read_image_directory(path, port, private_urls=job.private_urls)
    usable = labelled(everything)
    left_out = len(everything) - len(usable)
    if left_out:
        warn(f"{port}: {left_out:,} of {len(everything):,} images have no label and are left out.")
    return usable


def _warn_of_what_is_left_out(*data_sets: LabelledImages) -> None:
    for images in data_sets:
        if images.unreadable:
            warn(
                f"{images.image_set.port}: {len(images.unreadable):,} of {len(images):,} images "
                f"cannot be read and are left out: {examples(images.unreadable)}."
            )


def _announce(
    job: Job, runtime: Runtime, model: str, training: LabelledImages, validation: LabelledImages
) -> None:
    """Say what is about to be trained, and what of it is unusual."""
    height, width = training.size
    classes = training.image_set.schema.classes
    say(
        f"Training {model} for {len(classes)} categories on {len(training):,} images of "
        f"{width}x{height} pixels, validating on {len(validation):,}, on {runtime.name}."
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


def _summary(
    job: Job,
    runtime: Runtime,
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
        "device": runtime.name,
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
