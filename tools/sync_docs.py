"""Write the component specs and the tables of the documentation from the declarations.

``python -m tools.sync_docs`` writes them; a test fails where they differ from what it would write.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from train_pytorch_model import __version__
from train_pytorch_model.companions import (
    apply_image_transformation,
    convert_to_image_directory,
    densenet,
    evaluate_image_model,
    image_model,
    init_image_transformation,
    resnet,
    score_image_model,
    split_image_directory,
)
from train_pytorch_model.component import Component, Parameter, Port
from train_pytorch_model.contract import TRAIN_PYTORCH_MODEL

ROOT = Path(__file__).parent.parent

COMPANIONS: tuple[Component, ...] = (
    convert_to_image_directory.COMPONENT,
    split_image_directory.COMPONENT,
    init_image_transformation.COMPONENT,
    apply_image_transformation.COMPONENT,
    resnet.COMPONENT,
    densenet.COMPONENT,
    image_model.COMPONENT,
    score_image_model.COMPONENT,
    evaluate_image_model.COMPONENT,
)
"""The steps beside Train PyTorch Model, in the order of a pipeline."""

COMPONENTS = (TRAIN_PYTORCH_MODEL, *COMPANIONS)

# A CUDA image: it tells the container runtime to pass the GPU through. torch brings its own CUDA.
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04:latest"

V2_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
CLASSIC_TYPES = {bool: "Boolean", int: "Integer", float: "Float", str: "Enum"}

IGNORED = """\
# The code snapshot of the component: what runs, and nothing else.
.amlignore
*.additional_includes
README.md
__pycache__
*.pyc
"""

_GENERATED = "# Made by `make sync-docs` from {}.\n"


def folder_of(component: Component) -> Path:
    """Where a component's specs are, below the repository; that folder is its code."""
    return Path() if component is TRAIN_PYTORCH_MODEL else Path("components", component.name)


def _up_from(component: Component) -> str:
    return "../" * len(folder_of(component).parts)


def additional_includes(component: Component) -> list[str]:
    """What both SDKs add to a component's folder when they take its code: what a companion runs."""
    up = _up_from(component)
    return [f"{up}train_pytorch_model", f"{up}conda.yaml"] if up else []


def v2_spec(component: Component) -> dict[str, Any]:
    """``module_spec.yaml``: a command component of Azure Machine Learning v2."""
    parameters = {p.name: _parameter(p, V2_TYPES[p.type]) for p in component.parameters}
    includes = additional_includes(component)
    return {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json",
        "type": "command",
        "name": component.name,
        "version": __version__,
        "display_name": component.title,
        "description": component.description,
        "tags": {**_tags(component), **{p.name: p.type for p in component.ports}},
        "is_deterministic": True,
        "inputs": {**{p.name: _v2_port(p) for p in component.inputs}, **parameters},
        "outputs": {p.name: _v2_port(p) for p in component.outputs},
        "code": ".",
        **({"additional_includes": includes} if includes else {}),
        "environment": {"image": IMAGE, "conda_file": _up_from(component) + "conda.yaml"},
        "command": _command(component, "${{{{{}}}}}", "$[[{}]]"),
    }


def classic_spec(component: Component) -> dict[str, Any]:
    """``module_spec.classic.yaml``: the same contract with typed ports, for the classic SDK."""
    parameters = {p.name: _parameter(p, CLASSIC_TYPES[p.type]) for p in component.parameters}
    return {
        "$schema": "https://componentsdk.azureedge.net/jsonschema/CommandComponent.json",
        "type": "CommandComponent",
        "name": component.name,
        "version": __version__,
        "display_name": component.title,
        "description": component.description,
        "tags": _tags(component),
        "is_deterministic": True,
        "inputs": {**{p.name: _classic_port(p) for p in component.inputs}, **parameters},
        "outputs": {p.name: _classic_port(p) for p in component.outputs},
        "code": ".",
        "environment": {
            "docker": {"image": IMAGE},
            "conda": {"conda_dependencies_file": "conda.yaml"},
            "os": "Linux",
        },
        "command": _command(component, "{{{}}}", "[{}]"),
    }


def _tags(component: Component) -> dict[str, str]:
    contract = {"contract": f"{component.title} of the classic designer"}
    return {
        "category": component.category,
        "helpDocument": component.documentation,
        **(contract if component.original else {}),
    }


def _v2_port(port: Port) -> dict[str, Any]:
    kind = "uri_file" if port.type == "AnyFile" else "uri_folder"
    return {"type": kind, **_optional(port), "description": f"{port.type}. {port.help}"}


def _classic_port(port: Port) -> dict[str, Any]:
    return {"type": port.type, **_optional(port), "description": port.help}


def _optional(port: Port) -> dict[str, Any]:
    return {"optional": True} if port.optional else {}


def _parameter(parameter: Parameter, kind: str) -> dict[str, Any]:
    limits = {"default": parameter.default, "min": parameter.minimum, "max": parameter.maximum}
    return {
        "type": kind,
        **{key: value for key, value in limits.items() if value is not None},
        **({"enum": list(parameter.choices)} if parameter.choices else {}),
        "description": parameter.help,
    }


def _command(component: Component, placeholder: str, optional: str) -> str:
    words = [
        (optional if port.optional else "{}").format(
            f"{port.flag} {placeholder.format(f'{kind}.{port.name}')}"
        )
        for kind, ports in (("inputs", component.inputs), ("outputs", component.outputs))
        for port in ports
    ]
    for p in component.parameters:
        value = placeholder.format(f"inputs.{p.name}")
        # Both SDKs put values into the command as they are, and a shell splits it at spaces.
        has_spaces = any(" " in choice for choice in p.choices)
        words.append(f'{p.flag} "{value}"' if has_spaces else f"{p.flag} {value}")
    return f"python -m {component.module} " + " ".join(words)


def contract_table(component: Component) -> str:
    """A component's ports and parameters, in Markdown."""
    rows = ["| | name | flag | type | default | range |", "|---|---|---|---|---|---|"]
    for kind, ports in (("input", component.inputs), ("output", component.outputs)):
        rows += [
            f"| {kind} | `{p.name}` | `{p.flag}` | {p.type} | |{' optional' * p.optional} |"
            for p in ports
        ]
    rows += [
        f"| parameter | `{p.name}` | `{p.flag}` | {p.type.__name__} | {_default(p)} | {_range(p)} |"
        for p in component.parameters
    ]
    return "\n".join(rows) + "\n"


def _default(parameter: Parameter) -> str:
    if parameter.without_flag == parameter.default:
        return str(parameter.default)
    return f"{parameter.default} (a command line without the flag: {parameter.without_flag})"


def _range(parameter: Parameter) -> str:
    if parameter.type is bool:
        return "True, False"
    if parameter.type is str:
        return ", ".join(parameter.choices)
    low = "any" if parameter.minimum is None else f"≥ {parameter.minimum}"
    return low + ("" if parameter.maximum is None else f", ≤ {parameter.maximum}")


def companions_table() -> str:
    """The steps beside Train PyTorch Model, in Markdown."""
    rows = ["| step | what it does | takes | gives |", "|---|---|---|---|"]
    rows += [
        f"| [{c.title}]({folder_of(c)}) | {c.description} "
        f"| {_types(c.inputs) or '–'} | {_types(c.outputs)} |"
        for c in COMPANIONS
    ]
    return "\n".join(rows) + "\n"


def _types(ports: tuple[Port, ...]) -> str:
    return ", ".join(dict.fromkeys(p.type for p in ports if not p.optional))


def component_page(component: Component) -> str:
    """The ``README.md`` of a component's folder."""
    same = f" Microsoft describes its own [here]({component.documentation})."
    more = f" See also [this page]({component.documentation})."
    names: list[Port | Parameter] = [*component.ports, *component.parameters]
    return (
        f"<!-- Made by `make sync-docs`. -->\n# {component.title}\n\n{component.description}"
        f"{same if component.original else more}\n\n"
        f"```\npython -m {component.module} --help\n```\n\n{contract_table(component)}\n"
        + "".join(f"- `{p.name}`: {p.help}\n" for p in names)
    )


def documents() -> dict[str, str]:
    """What each file should hold: path below the repository → text."""
    readme = (ROOT / "README.md").read_text("utf-8")
    readme = replace_between(readme, "contract", contract_table(TRAIN_PYTORCH_MODEL))
    readme = replace_between(readme, "companions", companions_table())
    found = {"README.md": readme}
    for component in COMPONENTS:
        folder = folder_of(component)
        found[str(folder / "module_spec.yaml")] = _yaml(component, v2_spec(component))
        found[str(folder / "module_spec.classic.yaml")] = _yaml(component, classic_spec(component))
    for component in COMPANIONS:
        folder = folder_of(component)
        includes = "".join(f"{path}\n" for path in additional_includes(component))
        found[str(folder / "module_spec.classic.additional_includes")] = includes
        found[str(folder / ".amlignore")] = IGNORED
        found[str(folder / "README.md")] = component_page(component)
    return found


def replace_between(text: str, name: str, content: str) -> str:
    """``text`` with ``content`` between the two comments that mark the part ``name``."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = text.split(opening, 1)
    _, after = rest.split(closing, 1)
    return f"{before}{opening}{content}{closing}{after}"


def _yaml(component: Component, document: dict[str, Any]) -> str:
    source = component.module.replace(".", "/") + ".py"
    if component is TRAIN_PYTORCH_MODEL:
        source = "train_pytorch_model/contract.py and params.py"
    return _GENERATED.format(source) + yaml.safe_dump(document, sort_keys=False, width=100)


def main() -> None:
    """Write every document."""
    for name, text in documents().items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(text, "utf-8")
        sys.stdout.write(f"{name} is written\n")


if __name__ == "__main__":
    main()
