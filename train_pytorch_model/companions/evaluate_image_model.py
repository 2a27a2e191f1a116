"""Evaluate Image Model: scored images with labels → how good the model is."""

from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.command_line import run_component
from train_pytorch_model.component import Component, Port
from train_pytorch_model.termination import leave

SHOWN = 20
"""Categories on the console."""

COMPONENT = Component(
    name="evaluate_image_model",
    title="Evaluate Image Model",
    category="Model Scoring & Evaluation",
    description=(
        "Tells how good scored images are: accuracy, precision, recall and F1 of each category, "
        "and a confusion matrix."
    ),
    documentation="https://learn.microsoft.com/azure/machine-learning/component-reference/evaluate-model",
    module="train_pytorch_model.companions.evaluate_image_model",
    inputs=(
        Port(
            name="scored_dataset",
            flag="--scored-dataset",
            type="DataFrameDirectory",
            help="The scored images with their labels, from Score Image Model.",
        ),
    ),
    outputs=(
        Port(
            name="evaluation_results",
            flag="--evaluation-results",
            type="DataFrameDirectory",
            help="A row per category, and beside it metrics.json, the confusion matrix and a "
            "picture of it; a directory that is empty or new.",
        ),
    ),
    original=False,
)


def run(scored_dataset: Path, evaluation_results: Path) -> None:
    """Evaluate scored images, write the results, and log the metrics where there is a service.

    Raises:
        InvalidDatasetError: the input is not a table of scored images, or is damaged.
        NotLabeledDatasetError: none of the images has a label.
        FailedToWriteOutputsError: the output cannot be written.
    """
    from train_pytorch_model.companions.evaluation import per_category, summary, worst
    from train_pytorch_model.companions.evaluation_results import METRICS, write_results
    from train_pytorch_model.companions.scored_labels import counted
    from train_pytorch_model.engine.launcher import has_metrics_service
    from train_pytorch_model.ports.data_frame_directory import open_data_frame
    from train_pytorch_model.ports.output import check_output, whole_directory
    from train_pytorch_model.report.console import say, warn
    from train_pytorch_model.report.mlflow_service import log_once

    check_output(evaluation_results, "evaluation_results")
    with open_data_frame(scored_dataset, "scored_dataset") as table:
        tally = counted(table)
    categories = per_category(tally)
    metrics = summary(tally, categories)
    if tally.unlabelled:
        warn(f"scored_dataset: {tally.unlabelled:,} images have no label and are left out.")
    with whole_directory(evaluation_results, "evaluation_results") as folder:
        write_results(folder, tally, categories, metrics)
    say(f"{'category':<32}{'precision':>10}{'recall':>10}{'F1':>10}{'images':>10}")
    for row in worst(categories, SHOWN):
        say(
            f"{categories.categories[row][:31]:<32}{categories.precision[row]:>10.1%}"
            f"{categories.recall[row]:>10.1%}{categories.f1[row]:>10.1%}"
            f"{categories.support[row]:>10,}"
        )
    say(
        f"{metrics['images']:,.0f} images, top-1 accuracy {metrics['accuracy']:.1%}, macro F1 "
        f"{metrics['macro_f1']:.1%}. The results are in {evaluation_results}"
    )
    if has_metrics_service():
        log_once(metrics, METRICS)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    return run_component(COMPONENT, argv, run)


if __name__ == "__main__":
    leave(main())
