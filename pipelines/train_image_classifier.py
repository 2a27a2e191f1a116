"""Train an image classifier on Azure Machine Learning, with the SDK v2 (azure-ai-ml).

``python -m pipelines.train_image_classifier IMAGES`` builds the pipeline, validates it offline and
lists its steps; with ``--workspace NAME`` and what names it, it is submitted.
"""

import functools
import sys
from collections.abc import Sequence
from typing import Any

from azure.ai.ml import Input, MLClient, dsl, load_component

from pipelines.steps import TrainImageClassifier, parser, spec_of


def component(name: str) -> Any:
    """One of this repository's components."""
    return load_component(spec_of(name, "module_spec.yaml"))


def build(images: str, compute: str, **settings: Any) -> Any:
    """The pipeline job, from the component specs.

    Args:
        images: a folder on this machine, or a data asset (``azureml:NAME:VERSION``) or URL.
        compute: the name of the cluster.
        settings: of ``TrainImageClassifier``.

    Raises:
        ValueError: the SDK finds the pipeline invalid.
    """
    steps = TrainImageClassifier(functools.cache(component), **settings)
    pipeline = dsl.pipeline(display_name="Train an image classifier", compute=compute)
    job = pipeline(steps.train_image_classifier)(images=Input(type="uri_folder", path=images))
    job.experiment_name = "train-image-classifier"
    result = job._validate()
    if not result.passed:
        raise ValueError(f"the pipeline is invalid: {result.error_messages}")
    return job


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    args = parser(str(__doc__)).parse_args(argv)
    settings = {"size": args.size, "epochs": args.epochs, "model_name": args.model_name}
    job = build(args.images, args.compute, **settings)
    if args.workspace is None:
        for name, node in job.jobs.items():
            sys.stdout.write(f"{name:<12} {node.component.display_name}\n")
        sys.stdout.write("The pipeline is valid; name a --workspace to submit it.\n")
        return
    from azure.identity import DefaultAzureCredential  # signs in; not needed offline

    client = MLClient(
        DefaultAzureCredential(), args.subscription, args.resource_group, args.workspace
    )
    submitted = client.jobs.create_or_update(job)
    sys.stdout.write(f"{submitted.studio_url}\n")


if __name__ == "__main__":
    main()
