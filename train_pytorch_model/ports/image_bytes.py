"""The bytes of one image: its file, or its ``coco_url`` where the file is absent."""

import functools

import urllib3

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
        return _fetch(url, max_bytes)


def _fetch(url: str, max_bytes: int) -> bytes:
    if not url.lower().startswith(("http://", "https://")):
        raise OSError("the file is absent and its coco_url is not http(s)")
    try:
        response = _http().request("GET", url, preload_content=False)
        try:
            if response.status != 200:
                raise OSError(f"the server answered {response.status}")
            content: bytes = response.read(max_bytes + 1, decode_content=True)
        finally:
            response.release_conn()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise OSError(f"fetching its coco_url failed ({type(error).__name__})") from error
    if len(content) > max_bytes:
        raise OSError(f"its coco_url holds more than {max_bytes:,} bytes")
    return content


@functools.cache
def _http() -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=64,
        timeout=urllib3.Timeout(connect=5, read=20),
        retries=urllib3.Retry(
            total=3,
            redirect=3,
            backoff_factor=0.3,
            status_forcelist=(429, 500, 502, 503, 504),
            respect_retry_after_header=False,  # a server may ask for hours
        ),
    )
