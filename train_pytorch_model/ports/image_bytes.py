"""The bytes of one image: its file, or its ``coco_url`` where the file is absent."""

from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.paths import read_inside

MAX_IMAGE_BYTES = 256 << 20


def image_bytes(image_set: ImageSet, index: int, max_bytes: int = MAX_IMAGE_BYTES) -> bytes:
    """The content of the file of image ``index``.

    Raises:
        OSError: the file is absent and has no URL, cannot be read, lies outside the directory or
            is larger than ``max_bytes``; or its URL cannot be fetched.
    """
    try:
        return read_inside(image_set.root, image_set.file(index), max_bytes)
    except FileNotFoundError:
        url = image_set.url(index)
        if url is None:
            raise
        from train_pytorch_model.ports.web import fetched  # few directories have URLs

        return fetched(url, max_bytes, image_set.private_urls)
