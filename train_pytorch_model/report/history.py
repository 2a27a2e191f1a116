"""The two files that say how a model came about: ``history.csv`` and ``training.json``."""

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import PIL
import torch
import torchvision

from train_pytorch_model import __version__
from train_pytorch_model.report.metrics import EpochMetrics

HISTORY = "history.csv"
SUMMARY = "training.json"


def write_history(folder: Path, history: Sequence[EpochMetrics]) -> None:
    """Write ``history.csv``: a row an epoch, a column per field of ``EpochMetrics``."""
    with open(folder / HISTORY, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(EpochMetrics)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(metrics) for metrics in history)


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write ``training.json``: what the caller knows, and the versions of what computed it."""
    versions = {
        "train_pytorch_model": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "pillow": PIL.__version__,
    }
    document = {**summary, "versions": versions}
    (folder / SUMMARY).write_text(json.dumps(document, indent=2), "ascii")
