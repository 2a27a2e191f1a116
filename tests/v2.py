"""What Azure does with components of the SDK v2, here: code snapshots, commands, pipelines.

The SDK has no way to run a job on this machine.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def snapshot(component: Any, folder: Path) -> Path:
    """Write the code that would be uploaded with a component into ``folder``; returns it."""
    from azure.ai.ml._utils._asset_utils import get_upload_files_from_folder

    with component._build_code() as code:
        for source, name in get_upload_files_from_folder(code.path, ignore_file=code._ignore_file):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def rendered(component: Any, values: Mapping[str, object]) -> str:
    """A component's command with ``values`` for its placeholders; defaults for the others.

    Values stand there as they are, as Azure puts them: the command has the quotes that it needs.
    What stands in ``$[[…]]`` is left out where it needs a value that there is not.
    """
    known = {name: item.get("default") for name, item in component.inputs.items()} | dict(values)
    placeholder = re.compile(r"\$\{\{(?:inputs|outputs)\.(\w+)\}\}")

    def optional(match: re.Match[str]) -> str:
        needed = placeholder.findall(match[1])
        return match[1] if all(known.get(name) is not None for name in needed) else ""

    command = re.sub(r"\$\[\[(.*?)\]\]", optional, component.command)
    return placeholder.sub(lambda match: str(known[match[1]]), command)


def run_command(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a component's command in its code snapshot, with this interpreter as ``python``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}  # the snapshot alone
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def run_pipeline(job: Any, folder: Path) -> dict[str, dict[str, Path]]:
    """Run every node of a pipeline job, each in its code snapshot, after those that it needs.

    Returns:
        Node → output → its directory.
    """
    inputs = {name: item._data.path for name, item in job.inputs.items()}
    done: dict[str, dict[str, Path]] = {}
    waiting = {name: (node, node._to_rest_object()["inputs"]) for name, node in job.jobs.items()}
    while waiting:
        ready = [name for name, (_, given) in waiting.items() if needs(given) <= set(done)]
        assert ready, f"nodes that wait for each other: {sorted(waiting)}"
        for name in ready:
            node, given = waiting.pop(name)
            values: dict[str, object] = {}
            for key, item in given.items():
                match = _BINDING.fullmatch(item["value"])
                source = inputs if not match or match[1] is None else done[match[1]]
                values[key] = source[match[2]] if match else item["value"]
            outputs = {key: folder / name / key for key in node.component.outputs}
            code = snapshot(node.component, folder / name / "code")
            finished = run_command(rendered(node.component, {**values, **outputs}), code)
            assert finished.returncode == 0, f"{name}: {finished.stdout}{finished.stderr}"
            done[name] = outputs
    return done


_BINDING = re.compile(r"\$\{\{parent\.(?:jobs\.(\w+)\.outputs|inputs)\.(\w+)\}\}")


def needs(given: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The nodes whose outputs a node takes."""
    bound = (_BINDING.fullmatch(item["value"]) for item in given.values())
    return {match[1] for match in bound if match and match[1]}
