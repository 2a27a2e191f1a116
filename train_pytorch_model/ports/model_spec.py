"""The ``model_spec.yaml`` of a model directory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from train_pytorch_model.errors import Problems, scalar

WEIGHTS = "model"
LABELS = "index_to_label.csv"
NORMALISATION = [0.5, 0.5, 0.5]
"""Mean and standard deviation of each channel, of every model of the original."""

_PRE_PROCESSOR = {
    "module": "azureml.designer.core.model.model_spec.builtin_model_meta.pre_processor",
    "class": "ImageNormalizer",
}


@dataclass(frozen=True)
class ModelSpec:
    """What a model directory says of its network.

    Attributes:
        module, class_name: the names of the family (data; nothing is imported).
        model_name: torchvision's name of the architecture, such as ``resnet18``.
        options: the other initialisation parameters, such as ``zero_init_residual``.
        pretrained: whether the network keeps ImageNet's 1000 outputs, followed by a linear layer
            ``out_linear_model`` where ``num_classes`` is given.
        num_classes: the size of its output, None where that is still open.
        weights_file: the name of the state dict's file.
        labels_file: the name of the file of labels, None for an untrained model.
        image_column: the name of the input.
        normalised: whether its pixels are normalised, not only scaled to 0…1: all of the original's
            Train are. A trained model that was saved in another way may name no inputs; then the
            original normalises none.
        created: when it was made, in UTC; None is now.
    """

    module: str
    class_name: str
    model_name: str
    options: Mapping[str, bool] = field(default_factory=dict)
    pretrained: bool = False
    num_classes: int | None = None
    weights_file: str = WEIGHTS
    labels_file: str | None = None
    image_column: str = "image"
    normalised: bool = True
    created: datetime | None = None


def parse_model_spec(document: object, problems: Problems) -> ModelSpec:
    """The spec in ``document``; what is wrong with it goes into ``problems``."""
    spec = _mapping(document)
    flavor = _mapping(spec.get("flavor"))
    _expect(flavor.get("name"), "pytorch", "flavor.name", problems)
    _expect(flavor.get("serialization_method"), "state_dict", "serialization_method", problems)
    extras = _mapping(spec.get("flavor_extras"))
    init = dict(_mapping(extras.get("init_params")))
    num_classes = init.pop("num_classes", None)
    if num_classes is not None and (not _is_int(num_classes) or num_classes < 1):
        problems.add(f"init_params.num_classes is {scalar(num_classes)}, expected a count")
        num_classes = None
    names = {
        "flavor_extras.module": extras.get("module"),
        "flavor_extras.class": extras.get("class"),
        "init_params.model_name": init.pop("model_name", None),
        "model_file": spec.get("model_file"),
    }
    for key, value in names.items():
        if not isinstance(value, str) or not value:
            problems.add(f"{key} is {scalar(value)}, expected a name")
    for key, value in init.items():
        # The original's command line makes a text of "true" and "false", and asks for its truth.
        if not isinstance(value, bool | int | str):
            problems.add(f"init_params.{scalar(key)} is {scalar(value)}, expected true or false")
    labels_file = spec.get("label_map_file")
    if labels_file is not None and not isinstance(labels_file, str):
        problems.add(f"label_map_file is {scalar(labels_file)}, expected a file name")
    return ModelSpec(
        module=_text(names["flavor_extras.module"]),
        class_name=_text(names["flavor_extras.class"]),
        model_name=_text(names["init_params.model_name"]),
        pretrained=bool(init.pop("pretrained", False)),
        options={key: bool(value) for key, value in init.items() if isinstance(key, str)},
        num_classes=num_classes,
        weights_file=_text(names["model_file"]),
        labels_file=labels_file if isinstance(labels_file, str) else None,
        image_column=_image_column(spec.get("inputs"), problems),
        normalised=labels_file is None or spec.get("inputs") is not None,
    )


def _image_column(inputs: object, problems: Problems) -> str:
    """The name of the one input, whose pre-processing must be the only one there is."""
    if inputs is None:
        return "image"
    first = _mapping(inputs[0] if isinstance(inputs, list) and inputs else None)
    name, processor = first.get("name"), _mapping(first.get("pre_processor"))
    if not isinstance(name, str) or not isinstance(inputs, list) or len(inputs) != 1:
        problems.add("inputs is not one input with a name")
        return "image"
    for key, value in _PRE_PROCESSOR.items():
        _expect(processor.get(key), value, f"pre_processor.{key}", problems)
    numbers = _mapping(processor.get("init_params"))
    for key in ("mean", "std"):
        values = numbers.get(key)
        if values != NORMALISATION:
            problems.add(f"pre_processor.init_params.{key} is not {NORMALISATION}")
    return name


def trained_spec_document(spec: ModelSpec) -> dict[str, Any]:
    """The ``model_spec.yaml`` of a trained model, in the original's order of keys."""
    return {
        **untrained_spec_document(spec),
        "label_map_file": spec.labels_file,
        "inputs": [
            {
                "name": spec.image_column,
                "pre_processor": {
                    **_PRE_PROCESSOR,
                    "init_params": {"mean": list(NORMALISATION), "std": list(NORMALISATION)},
                },
            }
        ],
    }


def untrained_spec_document(spec: ModelSpec) -> dict[str, Any]:
    """The ``model_spec.yaml`` of an untrained model, in the original's order of keys."""
    created = spec.created or datetime.now(timezone.utc)
    classes = {} if spec.num_classes is None else {"num_classes": spec.num_classes}
    return {
        "flavor": {"name": "pytorch", "serialization_method": "state_dict"},
        "model_file": spec.weights_file,
        # Without a colon in the offset, so that YAML reads it as text, which the original needs.
        "time_created": created.strftime("%Y-%m-%dT%H:%M:%S.%f+0000"),
        "flavor_extras": {
            "module": spec.module,
            "class": spec.class_name,
            "is_cuda": False,
            "init_params": {
                "model_name": spec.model_name,
                "pretrained": spec.pretrained,
                **spec.options,
                **classes,
            },
        },
        "task_type": "MultiClassification",
    }


def _expect(value: object, expected: str, key: str, problems: Problems) -> None:
    if value != expected:
        problems.add(f"{key} is {scalar(value)}, expected {expected!r}")


def _mapping(value: object) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    """``value`` if it is a text; never the text of a list, which YAML's aliases can make huge."""
    return value if isinstance(value, str) else ""


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
