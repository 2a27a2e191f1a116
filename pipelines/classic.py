"""Train an image classifier with the classic SDK (azure-ml-component, Python up to 3.11).

``python -m pipelines.classic IMAGES --working-dir DIR`` runs the pipeline on this machine, in the
SDK's host mode; with ``--workspace NAME`` and what names it, it is submitted.
"""

import functools
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azure.ml.component import Component, dsl
from azure.ml.component._api._api import _definition_to_dto
from azure.ml.component._core._component_definition import ComponentDefinition
from azure.ml.component._core._run_settings_definition import RunSettingsDefinition

from pipelines.steps import ROOT, TrainImageClassifier, parser, spec_of

SPEC = "module_spec.classic.yaml"


def registered(workspace: Any, name: str) -> Any:
    """One of this repository's components, in a workspace."""
    return Component.from_yaml(workspace, yaml_file=str(spec_of(name, SPEC)))


def local(folder: Path, name: str) -> Any:
    """One of this repository's components without a workspace; its code goes into ``folder``.

    Host mode runs the folder that holds the spec and knows nothing of additional includes, so what
    runs is put there. The SDK's public loader signs in; what it calls does not.
    """
    code = folder / name
    package = "train_pytorch_model"
    shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (spec_of(name, SPEC), ROOT / "conda.yaml"):
        shutil.copy(file, code)
    definition = ComponentDefinition.load(yaml_file=code / SPEC)
    definition._runsettings = RunSettingsDefinition.from_dto_runsettings([])
    definition._module_dto = _definition_to_dto(definition)
    return Component._component_func_from_definition(definition)


def build(component: Any, images: Any, **settings: Any) -> Any:
    """The pipeline, from the component specs.

    Args:
        component: a component's name → what makes a node of it.
        images: a folder on this machine, or a dataset of a workspace.
        settings: of ``TrainImageClassifier``.
    """
    steps = TrainImageClassifier(functools.cache(component), **settings)
    # A method, because the decorator rewrites the byte code of a plain function, and not for 3.11.
    pipeline = dsl.pipeline(name="Train an image classifier")(steps.train_image_classifier)
    return pipeline(images=images)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    arguments = parser(str(__doc__))
    arguments.add_argument("--working-dir", default="pipeline-run", help="of a run on this machine")
    args = arguments.parse_args(argv)
    settings = {"size": args.size, "epochs": args.epochs, "model_name": args.model_name}
    if args.workspace is None:
        with tempfile.TemporaryDirectory() as code:
            job = build(functools.partial(local, Path(code)), args.images, **settings)
            status = job.run(mode="host", track_run_history=False, working_dir=args.working_dir)
        return 0 if "COMPLETED" in str(status).upper() else 1
    from azureml.core import Dataset, Workspace

    workspace = Workspace.get(
        args.workspace, subscription_id=args.subscription, resource_group=args.resource_group
    )
    images = Dataset.get_by_name(workspace, args.images)
    job = build(functools.partial(registered, workspace), images, **settings)
    run = job.submit("train-image-classifier", default_compute_target=args.compute)
    sys.stdout.write(f"{run}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
