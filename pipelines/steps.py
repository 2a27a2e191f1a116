"""The pipeline itself, which both SDKs build from the same lines, and what its command lines share.

Both SDKs name a node after the variable that holds it.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def spec_of(name: str, file: str) -> Path:
    """The spec of a component, by its name in a workspace."""
    folder = ROOT if name == "train_pytorch_model" else ROOT / "components" / name
    return folder / file


@dataclass(frozen=True)
class TrainImageClassifier:
    """Images in class folders, or in an archive → a trained model and how good it is.

    Attributes:
        component: a component's name → what makes a node of it.
        size: of the images that are trained on, in pixels.
        epochs: how often they are trained on.
        model_name: one of the ResNet component's.
    """

    component: Callable[[str], Callable[..., Any]]
    size: int = 224
    epochs: int = 5
    model_name: str = "resnet18"

    # Without annotations: the SDK v2 makes ports of them, and of none takes what it is given.
    def train_image_classifier(self, images):  # type: ignore[no-untyped-def]
        """The pipeline."""
        step = self.component
        convert = step("convert_to_image_directory")(input_dataset=images)
        split = step("split_image_directory")(
            input_image_directory=convert.outputs.output_image_directory
        )
        resize = step("init_image_transformation")(
            resize=True, size=self.size, center_crop=True, crop_size=self.size
        )
        apply = step("apply_image_transformation")
        training = apply(
            mode="For training",
            input_image_transformation=resize.outputs.output_image_transformation,
            input_image_directory=split.outputs.output_image_directory1,
        )
        validation = apply(
            mode="For inference",
            input_image_transformation=resize.outputs.output_image_transformation,
            input_image_directory=split.outputs.output_image_directory2,
        )
        resnet = step("resnet")(model_name=self.model_name, pretrained=False)
        train = step("train_pytorch_model")(
            untrained_model=resnet.outputs.untrained_model,
            training_dataset=training.outputs.output_image_directory,
            validation_dataset=validation.outputs.output_image_directory,
            epochs=self.epochs,
        )
        score = step("score_image_model")(
            trained_model=train.outputs.trained_model,
            dataset=validation.outputs.output_image_directory,
        )
        evaluate = step("evaluate_image_model")(scored_dataset=score.outputs.scored_dataset)
        return {
            "trained_model": train.outputs.trained_model,
            "evaluation_results": evaluate.outputs.evaluation_results,
        }


def parser(description: str) -> argparse.ArgumentParser:
    """The command line of a pipeline."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "images", help="a folder of images; in a workspace also azureml:NAME:1 (classic SDK: NAME)"
    )
    made.add_argument("--size", type=int, default=224, help="of the images, in pixels")
    made.add_argument("--epochs", type=int, default=5)
    made.add_argument("--model-name", default="resnet18")
    made.add_argument("--compute", default="gpu-cluster", help="the cluster that runs it")
    made.add_argument("--workspace", help="submit the pipeline to this workspace")
    made.add_argument("--resource-group", help="of the workspace")
    made.add_argument("--subscription", help="of the workspace")
    return made
