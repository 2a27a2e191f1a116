"""Score Image Model: a ModelDirectory and an ImageDirectory → a table of scored images."""

import sys
from collections.abc import Sequence

from train_pytorch_model.arguments import ArgumentParser, directory, exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = ArgumentParser(prog="score_image_model", description=__doc__)
    parser.add_argument("--trained-model", required=True, type=directory, metavar="DIR")
    parser.add_argument("--dataset", required=True, type=directory, metavar="DIR")
    parser.add_argument("--scored-dataset", required=True, type=directory, metavar="DIR")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    args = parser.parse(sys.argv[1:] if argv is None else argv)

    def run() -> None:
        from train_pytorch_model.companions.scoring import score  # imports torch; --help need not

        summary = score(args.trained_model, args.dataset, args.scored_dataset, args.device)
        sys.stdout.write(f"{summary} The scored images are in {args.scored_dataset}\n")

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
