"""Scoring what a test has trained, with the companion."""

from pathlib import Path

import numpy as np
import pandas as pd

from train_pytorch_model.companions.score_image_model import main


def score(model: Path, images: Path, target: Path) -> pd.DataFrame:
    """The scored images, as pandas reads them."""
    words = ["--trained-model", model, "--dataset", images, "--scored-dataset", target]
    assert main([str(word) for word in [*words, "--device", "cpu"]]) == 0
    return pd.read_parquet(target / "_data.parquet")


def probabilities(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of probabilities, named by their labels."""
    start = "Scored Probabilities_"
    chosen = table[[name for name in table.columns if name.startswith(start)]]
    return chosen.rename(columns=lambda name: name[len(start) :])


def mean_loss(model: Path, images: Path, work: Path) -> float:
    """The mean cross-entropy of the scored images."""
    table = score(model, images, work / "scored")
    columns = probabilities(table)
    true = [columns.at[row, label] for row, label in enumerate(table["category"])]
    return float(-np.log(true).mean())
