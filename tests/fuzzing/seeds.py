"""What fuzzing starts from: small whole inputs of every kind that the readers know."""

import io
import json

import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from tests.archives import GOOD, PACKERS
from tests.conftest import picture
from tests.fuzzing.targets import NET, PART, SCHEMA, SPEC, weights_of
from tests.test_image_directory import COCO, json_lines, rows_of
from train_pytorch_model.ports.data_frame_directory import PROBABILITY
from train_pytorch_model.ports.model_spec import ModelSpec, trained_spec_document


def seeds() -> dict[str, list[bytes]]:
    """Target → its seeds."""
    lines = json_lines(rows_of(["cat", "dog", "", None], note=["a", "é", None, ""])).encode()
    more = (
        b'{"image_info": {"file_name": "a", "base_file_name": "b", "coco_url": "ftp://x/a"}, '
        b'"category": "dog", "id": 1, "note": "n", "weight": 0.5, "ok": true}\r\n'
    )
    lists = b'{"image_info": {"file_name": "a"}, "category": [{"category_id": 1}], "id": "x"}'
    schema = json.dumps(SCHEMA).encode()
    meta = json.dumps({"type": "x", "image_list": "images.lst", "schema": "_schema.json"}).encode()
    return {
        "images_lst": [lines, more, lists, b"\xef\xbb\xbf" + lines],
        "image_directory": [PART.join((meta, text, schema)) for text in (lines, more, lists)],
        "schema": [schema],
        "coco": [json.dumps(COCO).encode(), json.dumps(CAPTIONS).encode()],
        "model_spec": [_model(SPEC, b""), _model(_TRAINED, b',label\n0,cat\n1,"d,og"\n')],
        "weights": [weights_of(NET, zipped) for zipped in (True, False)],
        "image": list(_images()),
        "archive": [pack(GOOD) for pack in PACKERS.values()],
        "data_frame": [_data_frame()],
        "transformation": [
            b'{"type": "TransformationDirectory", "transform_type": "Image"}'
            + PART
            + json.dumps([["Resize", {"size": 8}], ["RandomCrop", 3], ["ColorJitter", []]]).encode()
        ],
    }


CAPTIONS = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": [{"image_id": 1}]}

_TRAINED = json.loads(
    json.dumps(trained_spec_document(ModelSpec("m", "c", "n", labels_file="index_to_label.csv")))
)


def _model(spec: object, labels: bytes) -> bytes:
    return PART.join((b'{"type": "ModelDirectory"}', json.dumps(spec).encode(), labels))


def _images() -> list[bytes]:
    small = picture(0, 8)
    pages = {"save_all": True, "append_images": [picture(1, 8)]}
    ways: list[tuple[Image.Image, str, dict[str, object]]] = [
        (small, "PNG", {}),
        (small.convert("P"), "PNG", {"transparency": 0}),
        (small.convert("I;16"), "PNG", {}),
        (small.convert("1"), "PNG", {}),
        (small, "JPEG", {}),
        (small, "JPEG", {"progressive": True}),
        (small.convert("CMYK"), "JPEG", {}),
        (small, "BMP", {}),
        (small.convert("P"), "BMP", {}),
        (small, "PPM", {}),
        (small.convert("I"), "PPM", {}),
        (small, "TIFF", {}),
        (small, "TIFF", {"compression": "tiff_lzw"}),
        (small, "TIFF", {"compression": "jpeg"}),
        (small.convert("F"), "TIFF", {}),
        (small.convert("1"), "TIFF", {"compression": "group4"}),
        (small, "WEBP", {}),
        (small, "WEBP", {"lossless": True, **pages}),
        (small.convert("P"), "GIF", pages),
        (small, "JPEG2000", {}),
        (small, "AVIF", {}),
        (small, "ICO", {}),
        (small, "PCX", {}),
        (small, "SGI", {}),
        (small, "TGA", {"compression": "tga_rle"}),
        (small, "QOI", {}),
        (small, "DIB", {}),
        (small, "MPO", pages),
    ]
    found = []
    for image, format_, options in ways:
        file = io.BytesIO()
        image.save(file, format_, **options)
        found.append(file.getvalue())
    return found


def _data_frame() -> bytes:
    names = ("category", f"{PROBABILITY}a", f"{PROBABILITY}b", "Scored Labels")
    columns = (["a", "b"], [0.75, 0.25], [0.25, 0.75], ["a", "b"])
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(dict(zip(names, columns, strict=True))), file)
    meta = {"type": "DataFrameDirectory", "format": "Parquet", "data": "_data.parquet"}
    schema = {
        "labelColumns": {"True Labels": names[0]},
        "scoreColumns": {n: n for n in names[1:3]} | {"Multi Class Assigned Labels": names[3]},
    }
    meta["schema"] = "schema/_schema.json"
    return PART.join((json.dumps(meta).encode(), json.dumps(schema).encode(), file.getvalue()))
