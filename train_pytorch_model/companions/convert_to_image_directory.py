"""Convert to Image Directory: a folder of images → an ImageDirectory with metadata."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from train_pytorch_model.arguments import ArgumentParser, directory, exit_code
from train_pytorch_model.errors import InvalidDatasetError, Problems, shortened


def convert(source: Path, target: Path) -> int:
    """Copy the images of ``source`` and describe them; returns how many there are.

    The files are copied as they are, named ``image/<class index>_<number><ending>``, or
    ``image/<their path>`` where the directory has no labels. A directory that has metadata keeps
    its names; of its references to images only the file's name is kept.

    Raises:
        UserError: ``source`` is not an image directory, or ``target`` cannot be written.
    """
    from train_pytorch_model.ports.image_directory import read_image_directory, samples
    from train_pytorch_model.ports.image_list import META, write_with_metadata
    from train_pytorch_model.ports.image_set import UNLABELLED
    from train_pytorch_model.ports.output import check_output, whole_directory
    from train_pytorch_model.ports.paths import open_inside, reason

    check_output(target, "output_path")
    image_set = read_image_directory(source, "input_path")
    has_names = os.path.lexists(source / META)
    has_labels = image_set.schema.label_column is not None
    problems = Problems()
    names = []
    with whole_directory(target, "output_path") as folder:
        for index, label in enumerate(image_set.labels.tolist()):
            file = image_set.file(index)
            prefix = "unlabelled" if label == UNLABELLED else label
            numbered = f"image/{prefix}_{index}{os.path.splitext(file)[1]}"
            names.append(file if has_names else numbered if has_labels else f"image/{file}")
            (folder / names[-1]).parent.mkdir(parents=True, exist_ok=True)
            try:
                content = open_inside(image_set.root, file)
            except OSError as error:
                problems.add(f"{shortened(file)!r} ({reason(error)})")
                continue
            with content, open(folder / names[-1], "wb") as copy:
                shutil.copyfileobj(content, copy)
        if problems:
            raise InvalidDatasetError(
                f"input_path: files that cannot be read, {problems}. Replace or remove them."
            )
        write_with_metadata(folder, image_set, names, samples(image_set))
    return len(image_set)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns its exit code."""
    parser = ArgumentParser(prog="convert_to_image_directory", description=__doc__)
    parser.add_argument("--input_path", required=True, type=directory, metavar="DIR")
    parser.add_argument("--output_path", required=True, type=directory, metavar="DIR")
    args = parser.parse(sys.argv[1:] if argv is None else argv)

    def run() -> None:
        count = convert(args.input_path, args.output_path)
        sys.stdout.write(f"{count:,} images are in {args.output_path}\n")

    return exit_code(run)


if __name__ == "__main__":
    sys.exit(main())
