"""Print what a conda environment file installs with pip, as a requirements file.

``python -m tools.pip_part conda.yaml``
"""

import sys
from pathlib import Path

import yaml


def pip_part(text: str) -> list[str]:
    """The requirements below ``pip:`` in a conda environment file."""
    dependencies = yaml.safe_load(text)["dependencies"]
    return [line for entry in dependencies if isinstance(entry, dict) for line in entry["pip"]]


if __name__ == "__main__":
    sys.stdout.write("\n".join(pip_part(Path(sys.argv[1]).read_text("utf-8"))) + "\n")
