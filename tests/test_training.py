"""Training, from the command line to the directory it writes."""

import csv
import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pytest
import torch
from torch import Tensor

from tests.conftest import Arguments, Run, class_folders, create, refused
from tests.scoring import mean_loss
from train_pytorch_model.data.batches import (
    FromHost,
    TrainingBatches,
    evaluation_batch_size,
    permutation,
)
from train_pytorch_model.data.labelled_images import open_labelled_images
from train_pytorch_model.data.memory import CacheSpace
from train_pytorch_model.ports.image_directory import read_image_directory

FILES = {
    "_meta.yaml",
    "_samples.json",
    "_schema.json",
    "conda_env.yaml",
    "history.csv",
    "index_to_label.csv",
    "model",
    "model_spec.yaml",
    "score.py",
    "training.json",
}


def output_of(arguments: Arguments) -> Path:
    """Where the run writes."""
    return Path(str(arguments["--trained-model-path"]))


def weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a model directory."""
    state: dict[str, Tensor] = torch.load(path / "model", weights_only=True)
    return state


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    """Whether two state dicts are equal to the bit."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def history(path: Path) -> list[dict[str, str]]:
    """The rows of a ``history.csv``."""
    with open(path / "history.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def train(run: Run, changes: dict[str, object]) -> str:
    """Run and expect success; returns stderr."""
    code, err = run(changes)
    assert code == 0, err
    return err


def test_the_files_of_a_trained_model(run: Run, arguments: Arguments) -> None:
    """Exactly these, and what the two of ours say."""
    train(run, {"--epochs": 3, "--learning-rate": 0.01, "--random-seed": 5, "--patience": 2})
    path = output_of(arguments)
    assert {p.name for p in path.iterdir()} == FILES
    assert list(path.parent.iterdir()) == [path]

    rows = history(path)
    assert list(rows[0]) == [
        *("epoch", "learning_rate", "training_loss", "training_top1"),
        *("validation_loss", "validation_top1", "validation_top5"),
        *("images_per_second", "seconds", "best"),
    ]
    assert [row["epoch"] for row in rows] == [str(n + 1) for n in range(len(rows))]
    lowest = min(rows, key=lambda row: float(row["validation_loss"]))
    assert [row["epoch"] for row in rows if row["best"] == "True"] == [lowest["epoch"]]
    assert all(float(row["validation_top5"]) == 1.0 for row in rows)  # of two classes

    summary = json.loads((path / "training.json").read_text())
    assert summary["parameters"] == {
        "epochs": 3,
        "batch_size": 4,
        "learning_rate": 0.01,
        "random_seed": 5,
        "patience": 2,
    }
    assert summary["best_epoch"] == int(lowest["epoch"])
    assert summary["epochs_run"] == len(rows)
    counts = {name: d["images_per_category"] for name, d in summary["datasets"].items()}
    assert counts == {
        "training_dataset": {"cat": 6, "dog": 6},
        "validation_dataset": {"cat": 3, "dog": 3},
    }
    assert summary["versions"]["torch"] == torch.__version__


def test_it_learns(run: Run, arguments: Arguments, tmp_path: Path) -> None:
    """Pictures of two colours, from random weights."""
    many = class_folders(tmp_path / "many", {"cat": 40, "dog": 40})
    train(run, {"--train-data-path": many, "--epochs": 4, "--learning-rate": 0.001})
    best = [row for row in history(output_of(arguments)) if row["best"] == "True"]
    assert float(best[0]["validation_top1"]) == 1.0


def test_one_seed_gives_one_model(run: Run, tmp_path: Path) -> None:
    """To the bit; another seed gives another."""
    paths = {name: tmp_path / name for name in ("a", "b", "c")}
    train(run, {"--trained-model-path": paths["a"], "--epochs": 2})
    torch.rand(3)  # whatever else has drawn random numbers in the process
    train(run, {"--trained-model-path": paths["b"], "--epochs": 2})
    train(run, {"--trained-model-path": paths["c"], "--epochs": 2, "--random-seed": 2})
    assert same(weights(paths["a"]), weights(paths["b"]))
    assert not same(weights(paths["a"]), weights(paths["c"]))
    rows = [history(paths[name]) for name in ("a", "b")]
    for row in [*rows[0], *rows[1]]:
        del row["seconds"], row["images_per_second"]
    assert rows[0] == rows[1]


def test_the_best_epoch_is_what_is_written(run: Run, arguments: Arguments, tmp_path: Path) -> None:
    """A good model, trained gently for an epoch, then at a rate that spoils it."""
    train(run, {"--epochs": 8, "--learning-rate": 0.01})
    good = output_of(arguments).rename(tmp_path / "good")
    spoiling = {"--num-warmup-steps": 1, "--learning-rate": 0.5, "--epochs": 2}
    train(run, {**spoiling, "--untrained-model-path": good})
    losses = [float(row["validation_loss"]) for row in history(output_of(arguments))]
    assert losses[1] > 2 * losses[0]
    scored = mean_loss(output_of(arguments), Path(str(arguments["--valid-data-path"])), tmp_path)
    assert scored == pytest.approx(losses[0], rel=1e-4)


@pytest.fixture
def contrary(tmp_path: Path) -> Path:
    """Validation images whose labels are swapped: the better the training, the higher the loss."""
    return class_folders(tmp_path / "contrary", {"dog": 3, "cat": 3})


def test_patience_stops_early(run: Run, arguments: Arguments, contrary: Path) -> None:
    """After the first epoch whose validation loss did not decrease, with a patience of 1."""
    changes = {"--valid-data-path": contrary, "--epochs": 9, "--learning-rate": 0.01}
    train(run, {**changes, "--patience": 1})
    losses = [float(row["validation_loss"]) for row in history(output_of(arguments))]
    decreased = [b < a for a, b in pairwise(losses)]
    assert len(losses) < 9
    assert decreased == [True] * (len(losses) - 2) + [False]
    summary = json.loads((output_of(arguments) / "training.json").read_text())
    assert "did not decrease in 1 consecutive" in summary["stopped_because"]


@pytest.mark.parametrize(("batch_size", "steps"), [(4, 3), (5, 2), (12, 1), (13, 1), (1000, 1)])
def test_the_last_incomplete_batch_is_left_out(training: Path, batch_size: int, steps: int) -> None:
    """Of 12 images, unless it is the only one."""
    image_set = read_image_directory(training, "training_dataset")
    images = open_labelled_images(image_set, "auto", CacheSpace(1 << 30, 0))
    batches = TrainingBatches(FromHost(images, torch.device("cpu")), batch_size, seed=1)
    sizes = [len(batch.labels) for batch in batches.epoch(0)]
    assert sizes == [min(batch_size, 12)] * steps == [min(batch_size, 12)] * len(batches)


@pytest.mark.parametrize(
    ("batch_size", "training", "validation", "expected"),
    [
        (16, (28, 28), (28, 28), 256),
        (16, (64, 64), (64, 64), 49),
        (16, (224, 224), (224, 224), 16),
        (300, (28, 28), (28, 28), 300),
        (16, (8, 8), (8, 8), 256),  # not thousands, of which each may take as much as a larger one
        (500, (8, 8), (8, 8), 500),
        (1024, (32, 32), (512, 512), 4),  # larger images than are trained on
        (16, (32, 32), (3000, 3000), 1),
        (16, (224, 200), (28, 30), 256),
    ],
)
def test_how_many_images_are_evaluated_at_once(
    batch_size: int, training: tuple[int, int], validation: tuple[int, int], expected: int
) -> None:
    """Small images are evaluated many at once, large ones few."""
    assert evaluation_batch_size(batch_size, training, validation) == expected


def test_epochs_are_shuffled_differently() -> None:
    """By seed and by epoch, and the same again for the same two."""
    orders = [permutation(100, seed, epoch).tolist() for seed in (1, 2, -1) for epoch in (0, 1)]
    assert len({tuple(order) for order in orders}) == 6
    assert permutation(100, 1, 0).tolist() == orders[0]
    assert sorted(orders[0]) == list(range(100))


def test_a_batch_size_above_the_data_set_trains(run: Run, arguments: Arguments) -> None:
    """On one smaller batch."""
    train(run, {"--batch-size": 1000})
    summary = json.loads((output_of(arguments) / "training.json").read_text())
    assert summary["parameters"]["batch_size"] == 1000


def test_a_batch_too_small_for_batch_norm(run: Run, arguments: Arguments) -> None:
    """One image of 32 pixels is one pixel in the last layers of a ResNet."""
    line = refused(run, arguments, {"--batch-size": 1}, "ParameterError (0005): batch_size: ")
    assert "at least 2" in line


def test_a_batch_of_one_larger_image_trains(run: Run, tmp_path: Path) -> None:
    """There batch normalisation has several pixels to average over."""
    large = class_folders(tmp_path / "large", {"cat": 2, "dog": 2}, size=64)
    train(run, {"--batch-size": 1, "--train-data-path": large, "--valid-data-path": large})


def test_images_too_small_for_the_architecture(
    run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """DenseNet halves its input five times."""
    create("densenet121", tmp_path / "densenet")
    small = class_folders(tmp_path / "small", {"cat": 4, "dog": 4}, size=16)
    changes = {"--train-data-path": small, "--untrained-model-path": tmp_path / "densenet"}
    start = "InvalidDatasetError (0018): training_dataset: images of 16x16 pixels are too small"
    refused(run, arguments, changes, start)


@pytest.mark.parametrize("rate", ["1e30", "1e39", "1e308"])
def test_a_loss_that_is_not_finite_ends_the_run(run: Run, arguments: Arguments, rate: str) -> None:
    """And says what to change."""
    changes = {"--learning-rate": rate, "--epochs": 2}
    line = refused(run, arguments, changes, "DivergedError (2000): learning_rate: ")
    assert "choose a smaller rate, such as 0.001" in line


def test_validation_images_of_another_size(run: Run, tmp_path: Path) -> None:
    """Train, with a warning: an original pipeline may crop only the training images."""
    large = class_folders(tmp_path / "large", {"cat": 2, "dog": 2}, size=48)
    err = train(run, {"--valid-data-path": large})
    assert "warning: validation images are of 48x48 pixels" in err


def test_several_processes_are_refused(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than each writing the same output."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused(run, arguments, {}, "UserError (2000): launched as one of 2 processes")


def test_a_missing_gpu_is_told(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one is asked for."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    line = refused(run, arguments, {"--device": "cuda"}, "UserError (2000): --device is 'cuda'")
    assert "found no GPU that PyTorch can use; choose" in line


def test_a_gpu_with_too_old_a_driver_is_told(
    run: Run, arguments: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where none is asked for: it would be paid for, and not be used."""

    def too_old() -> bool:
        warnings.warn("CUDA initialization: The driver is too old.\nUpdate it", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    why = "found no GPU that PyTorch can use (CUDA initialization: The driver is too old.); "
    start = f"UserError (2000): --device is 'cuda', {why}"
    line = refused(run, arguments, {"--device": "cuda"}, start)
    assert "Update" not in line
    assert f"warning: --device: {why}computing on the CPU." in train(run, {"--device": "auto"})
    on_cpu = {"--device": "cpu", "--trained-model-path": tmp_path / "on cpu"}
    assert why not in train(run, on_cpu)


def test_a_gpu_that_cannot_compute_is_told(
    run: Run, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In PyTorch's words for one that it is not built for; what they add goes on for lines."""

    def unsupported() -> NoReturn:
        raise torch.AcceleratorError("CUDA error: no kernel image is available\nCompile with …")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", unsupported)
    start = "UserError (2000): --device: found a GPU on which PyTorch "
    line = refused(run, arguments, {"--device": "auto"}, start)
    assert " cannot compute (CUDA error: no kernel image is available), expected one " in line
