"""The story of a run: read → check → fit → write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import nn

from train_pytorch_model.data.batches import (
    TrainingBatches,
    ValidationBatches,
    evaluation_batch_size,
    source_of,
)
from train_pytorch_model.data.decode import without_warnings
from train_pytorch_model.data.labelled_images import LabelledImages, open_labelled_images
from train_pytorch_model.data.memory import CacheSpace, memory_for
from train_pytorch_model.engine.checkpoints import AGAIN, keeping
from train_pytorch_model.engine.fit import Fit, fit, new_state
from train_pytorch_model.engine.optimizer import MOMENTUM, WEIGHT_DECAY
from train_pytorch_model.engine.runtime import Runtime, start
from train_pytorch_model.engine.schedule import decayed, learning_rate
from train_pytorch_model.engine.state import TrainState
from train_pytorch_model.errors import DivergedError, together
from train_pytorch_model.job import Job
from train_pytorch_model.models.network import (
    check_batch,
    fit_to_sizes,
    network,
    original_state_dict,
    trained_spec,
)
from train_pytorch_model.ports.checkpoint import Checkpoint, has_checkpoint
from train_pytorch_model.ports.image_directory import (
    check_categories,
    labelled,
    read_image_directory,
    samples,
    take,
    with_labels_of,
)
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.model_directory import (
    ModelDirectory,
    read_model_directory,
    write_trained_model,
)
from train_pytorch_model.ports.output import check_output, whole_directory
from train_pytorch_model.ports.patience import answered, begun
from train_pytorch_model.recovery import (
    find,
    found_before,
    identity,
    resume,
    space_needed,
    writing,
)
from train_pytorch_model.report.console import EpochTable, warn
from train_pytorch_model.report.history import write_history, write_summary
from train_pytorch_model.report.sinks import open_sinks
from train_pytorch_model.summary import announce, announce_end, summary, warn_of_images
from train_pytorch_model.termination import TerminatedError, deferred


@dataclass(frozen=True)
class Inputs:
    """What the three inputs hold; every image has a label, an index into ``labels``."""

    untrained: ModelDirectory
    training: ImageSet
    validation: ImageSet

    @property
    def labels(self) -> tuple[str, ...]:
        """Class index → label."""
        return self.training.schema.classes


def train(job: Job) -> Fit:
    """Train the model that a job names and write it, from where a run of the same job stopped.

    Raises:
        UserError: one of the named errors of ``errors``; no output is written then.
        TerminatedError: a signal has come.
    """
    check_output(job.trained_model, "trained_model", begun=has_checkpoint(job.trained_model))
    runtime = start(job.device, job.precision)
    inputs = _read(job)
    net = network(inputs.untrained, inputs.labels, job.params.random_seed)
    decided_by = identity(job, inputs.untrained, inputs.training, inputs.validation)
    checkpoint = Checkpoint(job.trained_model, decided_by)
    needed = space_needed(job, net)
    saved = answered(lambda: find(checkpoint, job, needed), "trained_model")
    space = answered(lambda: _cache_space(checkpoint, needed), "trained_model")
    # The network has copies of the weights.
    inputs = replace(inputs, untrained=replace(inputs.untrained, weights={}))

    with _telling_what_is_kept(checkpoint):
        training, validation = (
            open_labelled_images(images, job.cache, space, found_before(saved, images))
            for images in (inputs.training, inputs.validation)
        )
        validation.read_in_background()
        batch_size = min(job.params.batch_size, len(training))
        _check_sizes(inputs, batch_size, training.size, validation.size)
        runtime.prepare(training.size)
        announce(job, runtime, inputs.untrained.spec.model_name, training, validation)

        with memory_for(_too_large(batch_size)), without_warnings():
            sizes, layout = {training.size, validation.size}, runtime.memory_format(training.size)
            fit_to_sizes(net, inputs.untrained, sizes, batch_size, layout, runtime.cpu_capability)
            state = new_state(net.to(runtime.device), job.params)
            on = runtime.rounding
            if saved is not None:
                on = resume(checkpoint, saved, state, len(training) // batch_size, on)
                del saved
            result = _fit(job, runtime, on, state, training, validation, checkpoint)
        warn_of_images(training, validation)
        _save(job, inputs, on, state.net, training, validation, result, checkpoint)
    with deferred():  # the output is whole: a signal has nothing to end any more
        checkpoint.remove_all()
        announce_end(job, result)
    return result


def _read(job: Job) -> Inputs:
    # All three at once: each may wait for its storage.
    untrained, training, validation = together(
        _read_model(job.untrained_model, "untrained_model"),
        _read_labelled(job, job.training_dataset, "training_dataset"),
        _read_labelled(job, job.validation_dataset, "validation_dataset"),
    )
    check_categories(training)
    return Inputs(untrained, training, with_labels_of(validation, training))


def _check_sizes(
    inputs: Inputs,
    batch_size: int,
    training_size: tuple[int, int],
    validation_size: tuple[int, int],
) -> None:
    untrained, classes = inputs.untrained, len(inputs.labels)
    check_batch(untrained, classes, batch_size, training_size, inputs.training.port)
    if validation_size != training_size:
        check_batch(untrained, classes, 2, validation_size, inputs.validation.port)


@contextmanager
def _telling_what_is_kept(checkpoint: Checkpoint) -> Iterator[None]:
    """Within the block, a run that is ended by a signal says so where it can be gone on with."""
    try:
        yield
    except TerminatedError as error:
        if checkpoint.there and not error.kept:
            raise TerminatedError(error.number, AGAIN) from error
        raise


def _fit(
    job: Job,
    runtime: Runtime,
    trained_on: str,
    state: TrainState,
    training: LabelledImages,
    validation: LabelledImages,
    checkpoint: Checkpoint,
) -> Fit:
    params, layout = job.params, runtime.memory_format(training.size)
    batches = TrainingBatches(
        source_of(training, runtime.device),
        params.batch_size,
        params.random_seed,
        layout,
        meanwhile=validation,
    )
    evaluated = evaluation_batch_size(batches.batch_size, training.size, validation.size)
    validated = ValidationBatches(source_of(validation, runtime.device), evaluated, layout)
    table = EpochTable(params.epochs, len(batches) * batches.batch_size, job.print_frequency)
    table.resume(state.epoch, state.sums.images)
    write = writing(checkpoint, trained_on, training, validation)
    try:
        with (
            open_sinks(table, asdict(params), runtime.tracked, state.history) as sink,
            keeping(write, job.checkpoint_minutes * 60) as checkpoints,
        ):
            return fit(
                state,
                batches,
                validated,
                params,
                sink,
                checkpoints,
                job.warmup_epochs,
                runtime.precision(),
            )
    except DivergedError:
        with suppress(OSError):  # what ends the run is the loss; the checkpoint stays there then
            checkpoint.discard()  # the same job would end there again
        raise


def _save(
    job: Job,
    inputs: Inputs,
    trained_on: str,
    net: nn.Module,
    training: LabelledImages,
    validation: LabelledImages,
    result: Fit,
    checkpoint: Checkpoint,
) -> None:
    """Write the output."""
    for images in (training, validation):
        images.finish()  # a run that was stopped after its last epoch has read none
        images.forget_pixels()  # the output may need the disk that they are on
    image_column = inputs.training.schema.image_column
    spec = trained_spec(inputs.untrained, len(inputs.labels), image_column, result.ended)
    steps = len(training) // min(job.params.batch_size, len(training))
    weights = original_state_dict(net, unreached_weight(job, steps, result.best.epoch))
    first = samples(take(inputs.training, training.readable[:3]))
    schema = inputs.training.schema.document
    facts = summary(job, trained_on, spec.model_name, training, validation, result)
    advice = _KEPT if checkpoint.finished else None
    with whole_directory(job.trained_model, "trained_model", advice) as folder:
        write_trained_model(folder, spec, weights, inputs.labels, schema, first)
        write_history(folder, result.history)
        write_summary(folder, facts)


_KEPT = (
    "free space or make it writable, and run the same command again: what is trained is kept, and "
    "is not trained again"
)


def unreached_weight(job: Job, steps: int, epochs: int) -> float:
    """What weight decay leaves, after so many epochs, of a weight that no image reaches."""
    rates = [
        learning_rate(epoch, job.params.epochs, job.params.learning_rate, job.warmup_epochs)
        for epoch in range(epochs)
    ]
    return decayed(rates, steps, MOMENTUM, WEIGHT_DECAY)


def _cache_space(checkpoint: Checkpoint, needed: int) -> CacheSpace:
    """What decoded images may take, beside what this run is still to write."""
    return CacheSpace.of_this_machine(checkpoint.folder, max(0, needed - checkpoint.size))


def _too_large(batch_size: int) -> str:
    return (
        f"batch_size: training on {batch_size} images at once does not fit in memory; choose a "
        "smaller batch size, smaller images, or a larger compute."
    )


def _read_model(path: Path, port: str) -> Callable[[], ModelDirectory]:
    return begun(lambda: read_model_directory(path, port), port)


def _read_labelled(job: Job, path: Path, port: str) -> Callable[[], ImageSet]:
    """Begin to read an image directory; what is returned waits for its labelled images."""
    read = begun(lambda: read_image_directory(path, port, private_urls=job.private_urls), port)

    def wait() -> ImageSet:
        everything = read()
        usable = labelled(everything)
        left_out = len(everything) - len(usable)
        if left_out:
            warn(
                f"{port}: {left_out:,} of {len(everything):,} images have no label and are left "
                "out."
            )
        return usable

    return wait
