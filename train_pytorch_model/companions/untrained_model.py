"""ResNet and DenseNet: an UntrainedModelDirectory with random weights."""

import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.arguments import ArgumentParser, directory, exit_code
from train_pytorch_model.models.architectures import family_with, model_names
from train_pytorch_model.params import seed_of_64_bits


def create(model_name: str, target: Path, random_seed: int = 1) -> None:
    """Write an untrained model.

    Args:
        model_name: one of ``model_names()``.
        target: where to write the directory.
        random_seed: of the weights, any integer.

    Raises:
        FailedToWriteOutputsError: ``target`` cannot be written.
    """
    import torch
    import torchvision

    from train_pytorch_model.models.network import original_state_dict
    from train_pytorch_model.ports.model_directory import write_untrained_model
    from train_pytorch_model.ports.model_spec import ModelSpec
    from train_pytorch_model.ports.output import check_output, whole_directory

    check_output(target, "untrained_model")
    family = family_with(model_name)
    torch.manual_seed(seed_of_64_bits(random_seed))
    net = getattr(torchvision.models, model_name)(weights=None)
    spec = ModelSpec(family.module, family.class_name, model_name, {family.option: False})
    with whole_directory(target, "untrained_model") as folder:
        write_untrained_model(folder, spec, original_state_dict(net))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = ArgumentParser(prog="untrained_model", description=__doc__)
    parser.add_argument("--untrained_model_path", required=True, type=directory, metavar="DIR")
    parser.add_argument("--model_name", choices=model_names(), default="resnet18")
    parser.add_argument("--random_seed", type=int, default=1, metavar="INT")
    args = parser.parse(sys.argv[1:] if argv is None else argv)

    def run() -> None:
        create(args.model_name, args.untrained_model_path, args.random_seed)
        sys.stdout.write(f"{args.model_name} is in {args.untrained_model_path}\n")

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
