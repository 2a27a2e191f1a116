"""Conventions that hold the tree together."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "train_pytorch_model"
NO_MODULES = {"train_pytorch_model.models.image_model"}  # what stands in Image Model's specs
FOLDERS = ("train_pytorch_model", "benchmarks", "examples", "pipelines", "tools", "tests")

MAY_IMPORT = {
    # folder or module → what of this package it may import
    "errors": set(),
    "__init__": set(),
    "termination": set(),
    "imports": set(),
    "component": {"errors"},
    "command_line": {"errors", "termination", "component"},
    "params": {"component"},
    "contract": {"component", "params"},
    "job": {"params"},
    "ports": {"errors"},
    "models": {"errors", "imports", "params", "ports"},
    "report": {"errors"},
    "data": {"errors", "params", "ports"},
    "engine": {"errors", "termination", "params", "report", "data"},
    "recovery": {"errors", "__init__", "job", "ports", "report", "data", "engine"},
    "summary": {"errors", "job", "report", "data", "engine"},
    "train": {
        *("errors", "termination", "job", "ports", "models", "report", "data", "engine"),
        *("recovery", "summary"),
    },
    "companions": {
        *("errors", "termination", "imports", "component", "command_line", "params"),
        *("ports", "models", "report", "data", "engine"),
    },
    "cli": {"command_line", "contract", "imports", "job", "params", "train"},
    "__main__": {"cli", "termination"},
}


def modules() -> list[Path]:
    """Every module of the package that runs here."""
    return sorted(p for p in PACKAGE.rglob("*.py") if p.parent.name != "deployment")


def layer(path: Path) -> str:
    """The folder or module, directly below the package, that a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path: Path) -> set[str]:
    """What a module imports from this package: the names of layers."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            parts = str(node.module).split(".")
            found |= {parts[1]} if len(parts) > 1 else set()
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    """Along the table above."""
    assert imported(path) <= MAY_IMPORT[layer(path)] | {layer(path)}


def test_the_table_of_layers_has_no_cycle() -> None:
    """And names every layer."""
    assert {layer(path) for path in modules()} == set(MAY_IMPORT)
    done: set[str] = set()
    while ready := [n for n, needs in MAY_IMPORT.items() if n not in done and needs <= done]:
        done |= set(ready)
    assert done == set(MAY_IMPORT)


def test_only_the_runtime_reads_the_environment() -> None:
    """A setting that comes from a launcher is read in one place."""
    readers = {
        str(path.relative_to(PACKAGE))
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers <= {"engine/launcher.py", "engine/runtime.py"}


@pytest.mark.parametrize(
    "command",
    [
        "import train_pytorch_model",
        "import train_pytorch_model.cli",
        "import train_pytorch_model.companions.convert_to_image_directory",
        "import train_pytorch_model.companions.split_image_directory",
        "import train_pytorch_model.companions.init_image_transformation",
        "import train_pytorch_model.companions.apply_image_transformation",
        "import train_pytorch_model.companions.resnet",
        "import train_pytorch_model.companions.densenet",
        "import train_pytorch_model.companions.image_model",
        "import train_pytorch_model.companions.score_image_model",
        "import train_pytorch_model.companions.evaluate_image_model",
    ],
)
def test_command_lines_start_without_torch(command: str) -> None:
    """``--help`` and a wrong parameter answer at once."""
    heavy = "{'torch', 'torchvision', 'pyarrow', 'numpy', 'PIL', 'azure', 'mlflow'}"
    check = f"import sys; {command}; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", check], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "Makefile",
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
        *sorted((ROOT / "benchmarks").glob("*.py")),
        *modules(),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_modules_that_are_named_are_there(path: Path) -> None:
    """A module that is moved takes its name in commands and in prose with it."""
    names = re.findall(rf"\b(?:{'|'.join(FOLDERS)})(?:\.[a-z]\w*)+\b", path.read_text("utf-8"))
    assert [name for name in sorted({*names} - NO_MODULES) if not _is_there(name)] == []


def _is_there(name: str) -> bool:
    """Whether there is a module or a folder of this name, or something in a module."""
    path = ROOT.joinpath(*name.split("."))
    holder = path.parent.with_suffix(".py")
    inside = holder.is_file() and re.search(rf"\b{path.name}\b", holder.read_text("utf-8"))
    return path.is_dir() or path.with_suffix(".py").is_file() or bool(inside)
