"""ResNet and DenseNet: ours write what the original's write, and the original's Train reads it.

That it trains from it is a cell of the interoperability matrix.
"""

import pytest
import torch
import yaml

from train_pytorch_model.companions import image_model
from train_pytorch_model.models.architectures import DENSENET, RESNET


def spec_of(path):
    """The spec of a model directory, without its time."""
    document = yaml.safe_load((path / "model_spec.yaml").read_text())
    del document["time_created"]
    return document


def weights_of(path):
    """The state dict of a model directory."""
    return torch.load(path / "model", weights_only=True)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet18", {"--zero_init_residual": "True"}),
        ("densenet121", {}),
        ("densenet121", {"--memory_efficient": "True"}),
    ],
)
def test_the_same_directory(original, ours, at_once, name, options):
    """The same files, spec and tensors by name, shape and type, with other random values."""
    theirs, own = at_once(
        lambda: original.untrained(name, options), lambda: ours.untrained(name, options)
    )
    assert {p.name for p in own.iterdir()} == {p.name for p in theirs.iterdir()}
    assert (own / "_meta.yaml").read_text() == (theirs / "_meta.yaml").read_text()
    assert spec_of(own) == spec_of(theirs)
    a, b = weights_of(own), weights_of(theirs)
    assert list(a) == list(b)
    assert all(a[key].shape == b[key].shape and a[key].dtype == b[key].dtype for key in a)


def test_the_original_makes_the_network_of_every_directory(original, tmp_path):
    """As its Train PyTorch Model does; our weights are that network's."""
    names = [*RESNET.model_names, *DENSENET.model_names]
    for name in names:
        words = ["--untrained_model_path", str(tmp_path / name), "--model_name", name]
        assert image_model.main([*words, "--pretrained", "False"]) == 0
    tensors = original.probe("networks", *(tmp_path / name for name in names))
    assert tensors == [len(weights_of(tmp_path / name)) for name in names]
    for name in names:
        (tmp_path / name / "model").unlink()  # two gigabytes


def test_a_pretrained_directory_of_ours_trains_on_both_sides(
    original, ours, at_once, pictures, tmp_path
):
    """Ours starts from its weights; the original downloads them, here from PyTorch's cache."""
    checkpoints = tmp_path / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    weights = {
        k.removeprefix("model."): v for k, v in weights_of(ours.untrained("resnet18")).items()
    }
    torch.save(weights, checkpoints / "resnet18-f37072fd.pth")
    cache, options = {"TORCH_HOME": str(tmp_path)}, {"--pretrained": "True"}
    data, theirs, own = at_once(
        lambda: original.convert(pictures),
        lambda: original.untrained("resnet18", options, **cache),
        lambda: ours.untrained("resnet18", options, **cache),
    )
    assert spec_of(own) == spec_of(theirs)
    a, b = weights_of(own), weights_of(theirs)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)
    tuned, by_original = at_once(
        lambda: ours.train(own, data, "--learning-rate", "1e-12"),
        lambda: original.train(own, data, **cache),
    )
    convolution = "model.conv1.weight"
    torch.testing.assert_close(weights_of(tuned)[convolution], a[convolution], rtol=0, atol=1e-9)
    assert weights_of(by_original)["out_linear_model.weight"].shape == (3, 1000)
