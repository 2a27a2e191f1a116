"""The columns of an ImageDirectory: its ``_schema.json``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from train_pytorch_model.errors import InvalidDatasetError, Problems, scalar, shortened

MAX_CLASSES = 100_000
"""A limit on the highest category id, which decides the size of the model's last layer."""

MAX_COLUMNS = 1_000

CLASSIFICATION = "COCO_classification"
GAP_NAME = "Others"
"""The name of the last class whose id no category has, as in the original."""


@dataclass(frozen=True)
class ImageSchema:
    """The columns of an image directory.

    Attributes:
        document: the whole schema, as it stands in ``_schema.json``.
        image_column: the name of the column of images.
        image_ref: the key of ``images.lst`` under which an image's file is described.
        label_column: the name of the column of labels, or None.
        annotation_type: what the label column holds, ``COCO_classification`` for names.
        classes: class index → name, each once; see ``_classes`` for indices that no category has.
        categories: category id → name, of the categories that the directory declares.
    """

    document: dict[str, Any]
    image_column: str
    image_ref: str
    label_column: str | None
    annotation_type: str | None
    classes: tuple[str, ...]
    categories: dict[int, str]

    @property
    def class_index(self) -> dict[str, int]:
        """Category name → class index."""
        return {name: index for index, name in self.categories.items()}

    @property
    def other_columns(self) -> dict[str, str]:
        """Name → element type (``int64``, ``str``, …) of each column but the image column."""
        return {
            column["name"]: str(_mapping(column.get("elementType")).get("typeName"))
            for column in self.document["columnAttributes"]
            if column["name"] != self.image_column
        }

    @property
    def non_feature_columns(self) -> list[str]:
        """The names of the columns that are not inputs of a model, sorted."""
        return sorted(
            column["name"]
            for column in self.document["columnAttributes"]
            if column["name"] != self.image_column and column.get("isFeature", True) is False
        )

    @property
    def further_image_columns(self) -> tuple[str, ...]:
        """The names of the columns of images after the first, which alone is read."""
        images = [
            column["name"] for column in self.document["columnAttributes"] if _is_image(column)
        ]
        return tuple(images[1:])


def _is_image(column: dict[str, Any]) -> bool:
    """Whether a column of a schema that is a mapping is one of images."""
    element = _mapping(column.get("elementType")).get("typeName")
    return element == "bytes" and _mapping(column.get("properties")).get("mime_type") == "image/png"


def parse_schema(document: object, port: str) -> ImageSchema:
    """The schema that a ``_schema.json`` holds.

    Raises:
        InvalidDatasetError: it is not a schema of images, or its categories are ambiguous.
    """
    problems = Problems()
    columns = _mapping(document).get("columnAttributes")
    if not isinstance(columns, list) or not columns:
        raise InvalidDatasetError(
            f"{port}: _schema.json has no columnAttributes, expected a list of columns; write the "
            "directory again with Convert to Image Directory."
        )
    if len(columns) > MAX_COLUMNS:
        raise InvalidDatasetError(
            f"{port}: _schema.json declares {len(columns):,} columns, expected at most "
            f"{MAX_COLUMNS:,}; remove those that are not needed."
        )
    image_column = image_ref = label_column = annotation_type = None
    categories: dict[int, str] = {}
    seen: set[str] = set()
    for position, column in enumerate(columns):
        name = _mapping(column).get("name")
        if not isinstance(name, str) or not is_text(name):
            problems.add(f"column {position} has no name")
            continue
        if name in seen:
            problems.add(f"column {scalar(name)} is declared twice")
        seen.add(name)
        properties = _mapping(column.get("properties"))
        if _is_image(column):
            if image_column is None:
                image_column, image_ref = name, properties.get("image_ref")
        elif "annotation_type" in properties and label_column is None:
            label_column, annotation_type = name, str(properties["annotation_type"])
            categories = _categories(properties.get("categories"), problems)
    if image_column is None:
        problems.add("no column of images (typeName bytes, mime_type image/png)")
    elif not isinstance(image_ref, str) or not is_text(image_ref):
        problems.add(f"column {scalar(image_column)} has no image_ref")
    if problems:
        raise InvalidDatasetError(
            f"{port}: _schema.json has {problems}. Expected a column of images, and one of labels "
            "whose categories have an id and a name of their own; correct it, or write the "
            "directory again with Convert to Image Directory."
        )
    return ImageSchema(
        document=_mapping(document),
        image_column=str(image_column),
        image_ref=str(image_ref),
        label_column=label_column,
        annotation_type=annotation_type,
        classes=_classes(categories),
        categories=categories,
    )


def classification_schema(names: Sequence[str]) -> ImageSchema:
    """The schema of a directory of images, each of one category of ``names``.

    With no names, the schema of a directory of images without labels.
    """
    columns = _image_and_id()
    if names:
        columns.append(
            {
                "name": "category",
                "type": "String",
                "isFeature": False,
                "elementType": {"typeName": "str", "isNullable": False},
                "properties": {
                    "annotation_type": CLASSIFICATION,
                    "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
                },
            }
        )
    return ImageSchema(
        document={"columnAttributes": columns},
        image_column="image",
        image_ref="image_info",
        label_column="category" if names else None,
        annotation_type=CLASSIFICATION if names else None,
        classes=tuple(names),
        categories=dict(enumerate(names)),
    )


def annotated_schema(
    schema: ImageSchema, kind: str, column: str, categories: object
) -> ImageSchema:
    """``schema``, that of a COCO data set, with its annotations instead of its labels.

    Args:
        schema: from ``classification_schema``.
        kind: what the annotations are, such as ``object_detection``.
        column: the name of their column.
        categories: the data set's, as they stand there; None where it has none.
    """
    properties = {"annotation_type": f"COCO_{kind}"}
    annotations = {
        "name": column,
        "type": "Object",
        "isFeature": False,
        "elementType": {"typeName": "object", "isNullable": False},
        "properties": properties | ({} if categories is None else {"categories": categories}),
    }
    document = {"columnAttributes": [*_image_and_id(), annotations]}
    return replace(schema, document=document, label_column=column)


def _image_and_id() -> list[dict[str, Any]]:
    """The columns that every directory has which is made from one without metadata."""
    return [
        {
            "name": "image",
            "type": "Bytes",
            "isFeature": True,
            "elementType": {"typeName": "bytes", "isNullable": False},
            "properties": {"mime_type": "image/png", "image_ref": "image_info"},
        },
        {
            "name": "id",
            "type": "Numeric",
            "isFeature": False,
            "elementType": {"typeName": "int64", "isNullable": False},
        },
    ]


def _categories(declared: object, problems: Problems) -> dict[int, str]:
    """Category id → name; what is wrong goes into ``problems``."""
    if declared is None:
        return {}
    if not isinstance(declared, list):
        problems.add("categories is not a list")
        return {}
    categories: dict[int, str] = {}
    ids: dict[str, int] = {}
    for category in declared:
        number, name = _mapping(category).get("id"), _mapping(category).get("name")
        name = label_name(name)
        shown = shortened(repr(category))
        if not isinstance(number, int) or isinstance(number, bool) or name is None:
            problems.add(f"category {shown} has not an integer id and a name")
        elif not 0 <= number < MAX_CLASSES:
            problems.add(f"category {shown} has an id that is not from 0 to {MAX_CLASSES - 1:,}")
        elif number in categories:
            problems.add(f"id {number} belongs to {scalar(categories[number])} and {scalar(name)}")
        elif name in ids:
            problems.add(f"category {scalar(name)} has the ids {ids[name]} and {number}")
        else:
            categories[number] = name
            ids[name] = number
    return categories


def _classes(categories: dict[int, str]) -> tuple[str, ...]:
    """Class index → name, each name once; what the original's Score Image Model makes of gaps.

    Of the indices that no category has, the last is named GAP_NAME and the others by their number,
    unless a category has that name.
    """
    names = dict(categories)
    taken = set(names.values())
    for index in reversed(range(max(names, default=-1) + 1)):
        if index not in names:
            name = str(index) if GAP_NAME in taken else GAP_NAME
            while name in taken:
                name += "_"
            names[index] = name
            taken.add(name)
    return tuple(names[index] for index in range(len(names)))


def label_name(value: object) -> str | None:
    """The category name that ``value`` writes: a non-empty text, or a number's text; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value and is_text(value) else None


def is_text(text: str) -> bool:
    """Whether ``text`` can be written: JSON and file names may hold lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
