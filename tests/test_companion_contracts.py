"""The contracts of the steps beside Train PyTorch Model, written down a second time on purpose."""

from typing import Any

import pytest

from tools.sync_docs import COMPANIONS, classic_spec, v2_spec
from train_pytorch_model.command_line import values_from
from train_pytorch_model.component import Component
from train_pytorch_model.models.architectures import model_names

INT32 = 2**31 - 1

PORTS: dict[str, dict[str, str]] = {
    # component → flag → name: type; an input, unless it begins with "->"
    "convert_to_image_directory": {
        "--input_path": "input_dataset: AnyDirectory",
        "--output_path": "-> output_image_directory: ImageDirectory",
    },
    "split_image_directory": {
        "--src_path": "input_image_directory: ImageDirectory",
        "--tgt_train_path": "-> output_image_directory1: ImageDirectory",
        "--tgt_test_path": "-> output_image_directory2: ImageDirectory",
    },
    "init_image_transformation": {
        "--output_path": "-> output_image_transformation: TransformationDirectory",
    },
    "apply_image_transformation": {
        "--input_image_transform_path": "input_image_transformation: TransformationDirectory",
        "--input_image_dir_path": "input_image_directory: ImageDirectory",
        "--output_path": "-> output_image_directory: ImageDirectory",
    },
    "resnet": {
        "--weights": "weights: AnyFile, optional",
        "--untrained_model_path": "-> untrained_model: UntrainedModelDirectory",
    },
    "densenet": {
        "--weights": "weights: AnyFile, optional",
        "--untrained_model_path": "-> untrained_model: UntrainedModelDirectory",
    },
    "image_model": {
        "--weights": "weights: AnyFile, optional",
        "--untrained_model_path": "-> untrained_model: UntrainedModelDirectory",
    },
    "score_image_model": {
        "--trained-model": "trained_model: ModelDirectory",
        "--dataset": "dataset: ImageDirectory",
        "--scored-dataset": "-> scored_dataset: DataFrameDirectory",
    },
    "evaluate_image_model": {
        "--scored-dataset": "scored_dataset: DataFrameDirectory",
        "--evaluation-results": "-> evaluation_results: DataFrameDirectory",
    },
}

SEED = ("--random_seed", "random_seed", 1, None, None)
RESNETS = [
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2"),
]
DENSENETS = ["densenet121", "densenet161", "densenet169", "densenet201"]

PARAMETERS: dict[str, list[tuple[str, str, Any, Any, Any]]] = {
    # component → (flag, name, default, minimum or all values, maximum), in order
    "convert_to_image_directory": [],
    "split_image_directory": [
        ("--fraction", "fraction_of_images_in_the_first_output", 0.9, 0, 1),
        SEED,
    ],
    "init_image_transformation": [
        ("--resize", "resize", True, None, None),
        ("--size", "size", 256, 1, INT32),
        ("--center_crop", "center_crop", True, None, None),
        ("--crop_size", "crop_size", 224, 1, INT32),
        ("--pad", "pad", False, None, None),
        ("--padding", "padding", 0, 0, INT32),
        ("--color_jitter", "color_jitter", False, None, None),
        ("--grayscale", "grayscale", False, None, None),
        ("--random_resized_crop", "random_resized_crop", False, None, None),
        ("--random_resized_crop_size", "random_size", 256, 1, INT32),
        ("--random_crop", "random_crop", False, None, None),
        ("--random_crop_size", "random_crop_size", 224, 1, INT32),
        ("--random_horizontal_flip", "random_horizontal_flip", True, None, None),
        ("--random_vertical_flip", "random_vertical_flip", False, None, None),
        ("--random_rotation", "random_rotation", False, None, None),
        ("--random_rotation_degrees", "random_rotation_degrees", 0, 0, 180),
        ("--random_affine", "random_affine", False, None, None),
        ("--random_affine_degrees", "random_affine_degrees", 0, 0, 180),
        ("--random_grayscale", "random_grayscale", False, None, None),
        ("--random_perspective", "random_perspective", False, None, None),
    ],
    "apply_image_transformation": [
        ("--mode", "mode", "For training", ["For training", "For inference"], None),
        SEED,
    ],
    "resnet": [
        ("--model_name", "model_name", "resnext101_32x8d", RESNETS, None),
        ("--pretrained", "pretrained", True, None, None),
        ("--zero_init_residual", "zero_init_residual", False, None, None),
        SEED,
    ],
    "densenet": [
        ("--model_name", "model_name", "densenet201", DENSENETS, None),
        ("--pretrained", "pretrained", True, None, None),
        ("--memory_efficient", "memory_efficient", False, None, None),
        SEED,
    ],
    "image_model": [
        ("--model_name", "model_name", "efficientnet_b0", sorted(model_names()), None),
        ("--pretrained", "pretrained", True, None, None),
        SEED,
    ],
    "score_image_model": [],
    "evaluate_image_model": [],
}


def test_every_companion_has_a_contract() -> None:
    """Those that the documentation of Train PyTorch Model names, and two of ours."""
    assert {c.name for c in COMPANIONS} == set(PORTS) == set(PARAMETERS)


@pytest.mark.parametrize("component", COMPANIONS, ids=lambda c: c.name)
def test_ports(component: Component) -> None:
    """Their names, flags and types, in both specs and in the command."""
    found = {}
    for arrow, ports in (("", component.inputs), ("-> ", component.outputs)):
        for port in ports:
            found[port.flag] = f"{arrow}{port.name}: {port.type}{', optional' * port.optional}"
    assert found == PORTS[component.name]
    for spec in (v2_spec(component), classic_spec(component)):
        names = [*spec["inputs"], *spec["outputs"]]
        assert set(names) == {p.name for p in (*component.ports, *component.parameters)}
        assert all(f"{p.flag} " in spec["command"] for p in component.ports)
    types = {p.name: p.type for p in component.ports}
    classic = classic_spec(component)
    named = {**classic["inputs"], **classic["outputs"]}
    assert {name: named[name]["type"] for name in types} == types


@pytest.mark.parametrize("component", COMPANIONS, ids=lambda c: c.name)
def test_parameters(component: Component) -> None:
    """Their names, flags, defaults and ranges, in both specs and in the command."""
    for spec in (v2_spec(component), classic_spec(component)):
        words = spec["command"].replace('"', "").split()
        found = []
        for p in component.parameters:
            item = spec["inputs"][p.name]
            limits = (item.get("enum", item.get("min")), item.get("max"))
            (flag,) = [
                words[i - 1]
                for i, word in enumerate(words)
                if word.strip("${}") == f"inputs.{p.name}"
            ]
            found.append((flag, p.name, item["default"], *limits))
        assert found == PARAMETERS[component.name]


@pytest.mark.parametrize("component", COMPANIONS, ids=lambda c: c.name)
def test_the_command_line_takes_every_default(component: Component) -> None:
    """As the specs write it: a number, True or False, a text."""
    words = [word for p in component.ports for word in (p.flag, "x")]
    for p in component.parameters:
        words += [p.flag, str(p.default)]
    values = values_from(component, words)
    assert {p.name: values[p.name] for p in component.parameters} == {
        p.name: p.default for p in component.parameters
    }
