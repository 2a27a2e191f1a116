"""The neighbours that the demo needs."""

from pathlib import Path

import yaml

from tests.test_training import same, weights
from train_pytorch_model.companions import resnet


def test_an_untrained_model_is_the_originals_format(tmp_path: Path) -> None:
    """And its weights follow the seed."""
    paths = {name: tmp_path / name for name in ("a", "b", "c")}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        words = ["--untrained_model_path", str(paths[name]), "--random_seed", str(seed)]
        words += ["--model_name", "resnet18", "--pretrained", "False"]
        assert resnet.main(words) == 0
    assert same(weights(paths["a"]), weights(paths["b"]))
    assert not same(weights(paths["a"]), weights(paths["c"]))
    meta = yaml.safe_load((paths["a"] / "_meta.yaml").read_text())
    assert meta == {"type": "ModelDirectory", "extension": {}, "model": "model_spec.yaml"}
    spec = yaml.safe_load((paths["a"] / "model_spec.yaml").read_text())
    assert isinstance(spec.pop("time_created"), str)
    package = "azureml.designer.modules.dl.pytorch.initialize_models.vision.classification"
    assert spec == {
        "flavor": {"name": "pytorch", "serialization_method": "state_dict"},
        "model_file": "model",
        "flavor_extras": {
            "module": f"{package}.resnet",
            "class": "ResNet",
            "is_cuda": False,
            "init_params": {
                "model_name": "resnet18",
                "pretrained": False,
                "zero_init_residual": False,
            },
        },
        "task_type": "MultiClassification",
    }
