"""Write the two component specs and the README's tables from the declarations in the package.

``python -m tools.sync_docs`` writes them; a test fails where they differ from what it would write.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from train_pytorch_model import __version__
from train_pytorch_model.contract import DESCRIPTION, INPUTS, NAME, OUTPUT, PORTS, TITLE
from train_pytorch_model.params import PARAMETERS, Parameter

ROOT = Path(__file__).parent.parent

# A CUDA image: it tells the container runtime to pass the GPU through. torch brings its own CUDA.
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04:latest"
TAGS = {"category": "Computer Vision", "contract": f"{TITLE} of the classic designer"}
_GENERATED = "# Made by `make sync-docs` from train_pytorch_model/contract.py and params.py.\n"


def v2_spec() -> dict[str, Any]:
    """``module_spec.yaml``: a command component of Azure Machine Learning v2."""
    ports = {p.name: {"type": "uri_folder", "description": f"{p.type}. {p.help}"} for p in INPUTS}
    parameters = {
        p.name: {"type": "integer" if p.type is int else "number", **_limits(p)} for p in PARAMETERS
    }
    return {
        "$schema": "https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json",
        "type": "command",
        "name": NAME,
        "version": __version__,
        "display_name": TITLE,
        "description": DESCRIPTION,
        "tags": {**TAGS, **{p.name: p.type for p in PORTS}},
        "is_deterministic": True,
        "inputs": {**ports, **parameters},
        "outputs": {
            OUTPUT.name: {
                "type": "uri_folder",
                "description": f"{OUTPUT.type}. {OUTPUT.help}",
            }
        },
        "code": ".",
        "environment": {"image": IMAGE, "conda_file": "conda.yaml"},
        "command": _command("${{{{{}}}}}"),
    }


def classic_spec() -> dict[str, Any]:
    """``module_spec.classic.yaml``: the same contract with typed ports, for the classic SDK."""
    ports = {p.name: {"type": p.type, "description": p.help} for p in INPUTS}
    parameters = {
        p.name: {"type": "Integer" if p.type is int else "Float", **_limits(p)} for p in PARAMETERS
    }
    return {
        "$schema": "https://componentsdk.azureedge.net/jsonschema/CommandComponent.json",
        "type": "CommandComponent",
        "name": NAME,
        "version": __version__,
        "display_name": TITLE,
        "description": DESCRIPTION,
        "tags": TAGS,
        "is_deterministic": True,
        "inputs": {**ports, **parameters},
        "outputs": {OUTPUT.name: {"type": OUTPUT.type, "description": OUTPUT.help}},
        "code": ".",
        "environment": {
            "docker": {"image": IMAGE},
            "conda": {"conda_dependencies_file": "conda.yaml"},
            "os": "Linux",
        },
        "command": _command("{{{}}}"),
    }


def _limits(parameter: Parameter) -> dict[str, Any]:
    limits = {"default": parameter.default, "min": parameter.minimum, "max": parameter.maximum}
    return {
        **{key: value for key, value in limits.items() if value is not None},
        "description": parameter.help,
    }


def _command(placeholder: str) -> str:
    words = [
        f"{port.flag} {placeholder.format(f'{kind}.{port.name}')}"
        for kind, ports in (("inputs", INPUTS), ("outputs", (OUTPUT,)))
        for port in ports
    ]
    words += [f"{p.flag} {placeholder.format(f'inputs.{p.name}')}" for p in PARAMETERS]
    return f"python -m {NAME} " + " ".join(words)


def contract_table() -> str:
    """The README's table of ports and parameters."""
    rows = ["| | name | flag | type | default | range |", "|---|---|---|---|---|---|"]
    for kind, ports in (("input", INPUTS), ("output", (OUTPUT,))):
        rows += [f"| {kind} | `{p.name}` | `{p.flag}` | {p.type} | | |" for p in ports]
    for p in PARAMETERS:
        low = "any" if p.minimum is None else f"≥ {p.minimum}"
        high = "" if p.maximum is None else f", ≤ {p.maximum}"
        rows.append(
            f"| parameter | `{p.name}` | `{p.flag}` | {p.type.__name__} | {p.default} "
            f"| {low}{high} |"
        )
    return "\n".join(rows) + "\n"


def documents() -> dict[str, str]:
    """What each file should hold: path below the repository → text."""
    readme = (ROOT / "README.md").read_text("utf-8")
    return {
        "module_spec.yaml": _yaml(v2_spec()),
        "module_spec.classic.yaml": _yaml(classic_spec()),
        "README.md": replace_between(readme, "contract", contract_table()),
    }


def replace_between(text: str, name: str, content: str) -> str:
    """``text`` with ``content`` between the two comments that mark the part ``name``."""
    opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = text.split(opening, 1)
    _, after = rest.split(closing, 1)
    return f"{before}{opening}{content}{closing}{after}"


def _yaml(document: dict[str, Any]) -> str:
    return _GENERATED + yaml.safe_dump(document, sort_keys=False, width=100)


def main() -> None:
    """Write every document."""
    for name, text in documents().items():
        (ROOT / name).write_text(text, "utf-8")
        sys.stdout.write(f"{name} is written\n")


if __name__ == "__main__":
    main()
