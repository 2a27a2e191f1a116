"""The weights that the original has written are the ones that ours scores with and trains on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision


@pytest.fixture(scope="module")
def data(original, pictures) -> Path:
    """The images that everything is trained and scored on."""
    return original.convert(pictures)


@pytest.fixture(scope="module")
def trained(original, data) -> Path:
    """A model of the original's own training."""
    return original.train(original.untrained("resnet18"), data)


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory) -> dict[str, str]:
    """The environment in which the original finds its download of pretrained weights done."""
    home = tmp_path_factory.mktemp("torch")
    url = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url
    (home / "hub" / "checkpoints").mkdir(parents=True)
    torch.manual_seed(1)
    weights = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(weights, home / "hub" / "checkpoints" / url.rsplit("/", 1)[1])
    return {"TORCH_HOME": str(home)}


@pytest.fixture(scope="module")
def pretrained(original, downloaded) -> Path:
    """ResNet with ``pretrained: true``: 1000 outputs, which Train puts a second layer behind."""
    return original.untrained("resnet18", {"--pretrained": "True"}, **downloaded)


def weights_of(model: Path) -> dict[str, torch.Tensor]:
    """The state dict of a model directory."""
    return torch.load(model / "model", weights_only=True)


@pytest.fixture
def scores_are_equal(original, ours, data, at_once, same_scores) -> Callable[..., None]:
    """Asserts that both sides score the data with a model alike."""

    def check(model: Path, **environment: str) -> None:
        same_scores(
            *at_once(
                lambda: original.score(model, data, **environment),
                lambda: ours.score(model, data),
            )
        )

    return check


def test_a_model_of_the_original_scores_alike(scores_are_equal, trained):
    """Our companion uses the weights as they are."""
    scores_are_equal(trained)


def test_fine_tuning_starts_from_the_originals_weights(ours, scores_are_equal, trained, data):
    """A learning rate of nearly nothing leaves all that gradients change where it was."""
    tuned = ours.train(trained, data, "--learning-rate", "1e-12")
    before, after = weights_of(trained), weights_of(tuned)
    assert before.keys() == after.keys()
    learned = [key for key in before if "running" not in key and "num_batches" not in key]
    for key in learned:
        torch.testing.assert_close(after[key], before[key], rtol=0, atol=1e-9)
    scores_are_equal(tuned)


def test_a_pretrained_model_of_the_original_scores_alike(
    original, scores_are_equal, pretrained, data, downloaded
):
    """Our one last layer computes what its two compute."""
    model = original.train(pretrained, data, **downloaded)
    assert "out_linear_model.weight" in weights_of(model)
    scores_are_equal(model, **downloaded)


def test_a_pretrained_model_that_ours_has_trained_needs_no_download(
    ours, scores_are_equal, pretrained, data, tmp_path
):
    """It starts from the pretrained weights, and the original loads it offline."""
    trained = ours.train(pretrained, data, "--learning-rate", "1e-12")
    convolution = "model.conv1.weight"
    torch.testing.assert_close(
        weights_of(trained)[convolution], weights_of(pretrained)[convolution], rtol=0, atol=1e-9
    )
    scores_are_equal(trained, TORCH_HOME=str(tmp_path))
    assert not list(tmp_path.iterdir())
