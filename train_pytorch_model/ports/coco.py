"""The COCO form of an image directory: images beside one annotation file."""

import errno
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from train_pytorch_model.errors import InvalidDatasetError, Problems, examples, scalar, shortened
from train_pytorch_model.ports.class_folders import is_litter
from train_pytorch_model.ports.image_schema import (
    MAX_CLASSES,
    ImageSchema,
    annotated_schema,
    classification_schema,
    is_text,
    label_name,
)
from train_pytorch_model.ports.image_set import UNLABELLED, ImageSet
from train_pytorch_model.ports.paths import is_safe_name, read_inside, reason
from train_pytorch_model.ports.plain_json import load_json

MAX_ANNOTATION_BYTES = 2 << 30


def read_coco(root: Path, port: str, one_category: bool = True) -> ImageSet | None:
    """Read the first ``*.json`` (by name) that is COCO annotations; None where none is.

    The category of an image is the one category of its annotations. Classes are the categories in
    the order of their ids, without gaps (the original cannot train from COCO, so no number is
    taken yet).

    Raises:
        InvalidDatasetError: an image has annotations of several categories, or its file lies
            outside the directory, or the annotations are damaged, or what might be annotations
            is, and there are no others.
    """
    found = _document(root, port)
    return None if found is None else _image_set(found[1], root, port, found[0], one_category)


MAX_NAME_BYTES = 255
"""Of a file, on the file systems of Linux."""


def coco_lines(image_set: ImageSet) -> tuple[ImageSchema, list[str], list[bytes]] | None:
    """What the original makes of COCO in a directory with metadata; None where there is none.

    Nothing of an image or of its annotations is lost.

    Returns:
        The schema, with the column of annotations; n names, ``image/<id><ending>``; and n lines of
        ``images.lst``.

    Raises:
        InvalidDatasetError: images have the same id, or categories one that no directory takes.
    """
    found = _document(image_set.root, image_set.port)
    if found is None:
        return None
    document = found[1]
    kind = _annotation_type(document["annotations"])
    column = f"{kind}_annotation"
    of_image: dict[Any, list[Any]] = defaultdict(list)
    for annotation in document["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    problems = Problems()
    declared = document.get("categories")
    categories = declared if isinstance(declared, list) else None
    for category in categories or []:
        if not 0 <= category["id"] < MAX_CLASSES:
            problems.add(f"category {shortened(repr(category))} has another id")
    taken: set[str] = set()
    names: list[str] = []
    lines: list[bytes] = []
    for image in document["images"]:
        number, file = image["id"], image["file_name"]
        name = f"image/{number}{os.path.splitext(file)[1]}"
        is_name = "/" not in str(number) and len(os.fsencode(name)) <= MAX_NAME_BYTES
        if str(number) in taken or not is_name or not is_safe_name(name):
            problems.add(f"image {shortened(file)!r} has the id {shortened(repr(number))}")
        taken.add(str(number))
        names.append(name)
        reference = {key: value for key, value in image.items() if key != "base_file_name"}
        row = {"image_info": reference | {"file_name": name}, column: of_image[number]}
        lines.append(json.dumps(row | {"id": number}).encode())
    if problems:
        raise InvalidDatasetError(
            f"{image_set.port}: {found[0]} has {problems}. Expected images with an id of their own "
            f"and categories with one from 0 to {MAX_CLASSES - 1:,}; number them anew."
        )
    return annotated_schema(image_set.schema, kind, column, categories), names, lines


def _annotation_type(annotations: list[Any]) -> str:
    """What kind of annotations these are, as the original says from the first of them."""
    first = annotations[0] if annotations else {}
    return next((kind for key, kind in _KINDS.items() if key in first), "unknown")


_KINDS = {
    "caption": "image_caption",
    "keypoints": "keypoint_detection",
    "file_name": "semantic_segmentation",
    "segmentation": "object_detection",
    "bbox": "object_detection",
}


def _document(root: Path, port: str) -> tuple[str, dict[str, Any]] | None:
    """The first annotation file, by name: its name and what it holds."""
    damaged = []
    with os.scandir(root) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if entry.name.endswith(".json")
            and not is_litter(entry.name)
            and (entry.is_file() or (entry.is_symlink() and not entry.is_dir()))
        )
    for name in names:
        try:
            document = _annotations(root, name)
        except ValueError as error:
            damaged.append(f"{shortened(name)!r} ({shortened(str(error))})")
        else:
            if document is not None:
                return name, document
    if damaged:  # the folders beside half a copy of the annotations are no categories
        raise InvalidDatasetError(
            f"{port}: found no COCO annotations, but what may be damaged ones: "
            f"{examples(damaged)}; expected an object of images, annotations and categories. Copy "
            "them again, or remove what is something else."
        )
    return None


def _annotations(root: Path, name: str) -> dict[str, Any] | None:
    """What an annotation file holds; None where it is JSON of something else.

    Raises:
        ValueError: it is damaged; the message says how.
    """
    try:
        document = load_json(read_inside(root, name, MAX_ANNOTATION_BYTES).decode("utf-8-sig"))
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        if error.errno is None:  # it is too large, or a link that leads out
            raise ValueError(reason(error)) from error
        raise  # what cannot be read might be the annotations
    keys = ("images", "annotations")
    if not isinstance(document, dict) or not all(key in document for key in keys):
        return None
    for key in keys:
        if not isinstance(document[key], list):
            raise ValueError(f"{key} is {scalar(document[key])}")
    return document


def _image_set(
    document: dict[str, Any], root: Path, port: str, name: str, one_category: bool
) -> ImageSet:
    problems = Problems()
    names = _categories(document.get("categories", []), problems)
    numbers = sorted(names)
    index_of = {number: index for index, number in enumerate(numbers)}
    found = _category_ids(document["annotations"], problems)
    files: list[str] = []
    urls: list[str | None] = []
    ids: list[Any] = []
    labels: list[int] = []
    taken: set[Any] = set()
    for position, item in enumerate(document["images"]):
        image = item if isinstance(item, dict) else {}
        path, number, url = image.get("file_name"), image.get("id"), image.get("coco_url")
        if not isinstance(path, str) or not _is_id(number):
            problems.add(f"images[{position}] has not a file_name and an id")
            continue
        if number in taken:
            problems.add(f"image {shortened(path)!r} has the id {scalar(number)} of another")
        taken.add(number)
        if not is_safe_name(path) or not is_text(path):
            problems.add(
                f"images[{position}] names {shortened(path)!r}, outside the directory or too deep"
            )
            continue
        categories = found.get(number, set())
        if len(categories) > 1 and not one_category:
            categories = set()
        if len(categories) > 1:
            problems.add(
                f"image {shortened(path)!r} has annotations of {len(categories)} categories"
            )
        elif categories - names.keys():
            problems.add(f"image {shortened(path)!r} has a category_id that no category has")
        files.append(path)
        urls.append(url if isinstance(url, str) and url and is_text(url) else None)
        ids.append(number)
        labels.append(index_of.get(next(iter(categories), None), UNLABELLED))  # type: ignore[arg-type]  # None is no id, which .get may be asked for
    if not document["images"]:
        problems.add("images is empty")
    if problems:
        raise InvalidDatasetError(
            f"{port}: {name} has {problems}. Expected images with an id of their own and a file in "
            "the directory, whose annotations are of one category each; correct the annotations."
        )
    schema = classification_schema([names[number] for number in numbers])
    columns: dict[str, pa.Array] = {"id": _array(ids)}
    if numbers:
        known = [None if i == UNLABELLED else schema.classes[i] for i in labels]
        columns["category"] = pa.array(known, pa.string())
    return ImageSet(
        port=port,
        root=root,
        files=pa.array([os.fsencode(file) for file in files], pa.binary()),
        urls=pa.array(urls, pa.string()) if any(urls) else None,
        labels=np.array(labels, dtype=np.int64),
        schema=schema,
        columns=columns,
    )


def _categories(declared: object, problems: Problems) -> dict[int, str]:
    names: dict[int, str] = {}
    taken: set[str] = set()
    for item in declared if isinstance(declared, list) else []:
        category = item if isinstance(item, dict) else {}
        number, name = category.get("id"), label_name(category.get("name"))
        if type(number) is not int or name is None:
            problems.add(f"category {shortened(repr(category))} has not an integer id and a name")
        elif number in names or name in taken:
            problems.add(f"category {shortened(repr(category))} is declared twice")
        else:
            names[number] = name
            taken.add(name)
    if len(names) > MAX_CLASSES:
        problems.add(f"{len(names):,} categories are more than {MAX_CLASSES:,}")
    return names


def _category_ids(annotations: list[Any], problems: Problems) -> dict[Any, set[Any]]:
    """Image id → the category ids of its annotations."""
    found: dict[Any, set[Any]] = defaultdict(set)
    for position, item in enumerate(annotations):
        annotation = item if isinstance(item, dict) else {}
        image, category = annotation.get("image_id"), annotation.get("category_id")
        if not _is_id(image):
            problems.add(f"annotations[{position}] has no image_id")
        elif type(category) is int:
            found[image].add(category)
        elif category is not None:
            problems.add(f"annotations[{position}] has a category_id that is not an integer")
    return found


def _is_id(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and is_text(value))


def _array(ids: list[Any]) -> pa.Array:
    try:
        return pa.array(ids, pa.int64())
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([str(number) for number in ids])
