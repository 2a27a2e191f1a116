"""Images that lie behind a ``coco_url``: a local server, and what is refused."""

import http.server
import io
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run, picture
from tests.loading import load
from tests.test_image_directory import (
    categories_of,
    coco_of,
    describe,
    rows_of,
    schema_of,
)
from train_pytorch_model.data.decode import UnreadableImageError, read_pixels
from train_pytorch_model.ports.image_bytes import image_bytes
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_set import ImageSet

Answer = tuple[int, dict[str, str], bytes]


def png(seed: int, size: int = 8) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    picture(seed, size, hue=seed).save(file, "PNG")
    return file.getvalue()


class Server:
    """A web server on this machine that answers as it is told, and counts."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: Counter[str] = Counter()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer with the next answer of the path, the last one for ever."""
                answers = server.answers.get(self.path, [(404, {}, b"not here")])
                status, headers, body = answers[min(server.requests[self.path], len(answers) - 1)]
                server.requests[self.path] += 1
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def on(self, path: str, *answers: Answer) -> str:
        """Answer requests of ``path`` with these; returns the URL."""
        self.answers[path] = list(answers)
        return self.base + path


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that stops with the test."""
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def rows_with_urls(root: Path, urls: list[str | None]) -> ImageSet:
    """An ImageDirectory whose images have these URLs, and no file."""
    rows = rows_of([("cat", "dog")[i % 2] for i in range(len(urls))])
    for row, url in zip(rows, urls, strict=True):
        row["image_info"]["coco_url"] = url
    describe(root, rows, schema_of(categories_of("cat", "dog")))
    return read_image_directory(root, "p")


def test_absent_files_are_fetched(server: Server, tmp_path: Path) -> None:
    """With metadata."""
    urls: list[str | None] = [server.on(f"/{i}", (200, {}, png(i))) for i in range(3)]
    loaded = load(rows_with_urls(tmp_path, urls))
    assert loaded.unreadable == ()
    for i in range(3):
        expected = np.asarray(picture(i, 8, hue=i))
        np.testing.assert_array_equal(loaded.pixels[i].numpy(), expected)


def test_absent_files_of_the_coco_form_are_fetched(server: Server, tmp_path: Path) -> None:
    """From the ``coco_url`` of its images."""
    document = coco_of({"a.png": 1, "b.png": 2}, categories_of("cat", "dog", ids=(1, 2)))
    for i, image in enumerate(document["images"]):
        image["coco_url"] = server.on(f"/{i}", (200, {}, png(i)))
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    loaded = load(read_image_directory(tmp_path, "p"))
    assert (len(loaded), loaded.unreadable) == (2, ())


def test_a_file_that_is_there_is_not_fetched(server: Server, tmp_path: Path) -> None:
    """Its URL may hold anything."""
    url = server.on("/0", (200, {}, b"something else"))
    images = rows_with_urls(tmp_path, [url])
    (tmp_path / "image").mkdir()
    (tmp_path / "image/0.png").write_bytes(png(0))
    assert image_bytes(images, 0) == png(0)
    assert server.requests == {}


def test_a_damaged_file_is_not_replaced_by_its_url(server: Server, tmp_path: Path) -> None:
    """Only an absent one is."""
    images = rows_with_urls(tmp_path, [server.on("/0", (200, {}, png(0)))])
    (tmp_path / "image").mkdir()
    (tmp_path / "image/0.png").write_bytes(b"damaged")
    with pytest.raises(UnreadableImageError, match="not an image"):
        read_pixels(images, 0)
    assert server.requests == {}


def test_a_server_may_stumble(server: Server, tmp_path: Path) -> None:
    """A 500 is tried again, a redirect followed."""
    flaky = server.on("/flaky", (500, {}, b""), (200, {}, png(0)))
    moved = server.on("/moved", (302, {"Location": "/flaky"}, b""))
    images = rows_with_urls(tmp_path, [flaky, moved])
    assert image_bytes(images, 0) == png(0)
    assert image_bytes(images, 1) == png(0)
    assert server.requests == {"/flaky": 3, "/moved": 1}


@pytest.mark.parametrize(
    ("answer", "expected", "requests"),
    [
        ((404, {}, b""), "the server answered 404", 1),
        ((403, {}, b""), "the server answered 403", 1),
        ((204, {}, b""), "the server answered 204", 1),
        ((200, {}, b"<html>log in</html>"), "not an image of a known format", 1),
        ((200, {}, png(0)[:-20]), "truncated", 1),
        ((200, {"Content-Length": "1000"}, png(0)), "fetching its coco_url failed", 1),
        ((200, {"Content-Encoding": "gzip"}, png(0)), "fetching its coco_url failed", 1),
        ((302, {"Location": "/here"}, b""), "fetching its coco_url failed", 4),
        ((302, {"Location": "file:///etc/hostname"}, b""), "fetching its coco_url failed", 1),
        ((302, {"Location": "ftp://127.0.0.1/x"}, b""), "fetching its coco_url failed", 1),
        ((503, {"Retry-After": "3600"}, b""), "fetching its coco_url failed", 4),
    ],
)
def test_answers_that_are_no_image(
    server: Server, tmp_path: Path, answer: Answer, expected: str, requests: int
) -> None:
    """Each makes the image unreadable, soon, and says why."""
    images = rows_with_urls(tmp_path, [server.on("/here", answer)])
    with pytest.raises(UnreadableImageError, match=expected):
        read_pixels(images, 0)
    assert server.requests == {"/here": requests}


@pytest.mark.parametrize("scheme", ["file://", "ftp://127.0.0.1", "data:image/png,", "", "//h"])
def test_only_http_is_fetched(tmp_path: Path, scheme: str) -> None:
    """A URL must not read this machine's files."""
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(0))
    images = rows_with_urls(tmp_path / "d", [f"{scheme}{secret}", "http://127.0.0.1/x"])
    with pytest.raises(UnreadableImageError, match=r"coco_url is not http\(s\)"):
        read_pixels(images, 0)


@pytest.mark.parametrize("url", ["", None])
def test_an_empty_url_is_none(tmp_path: Path, url: str | None) -> None:
    """The file is what is missing then."""
    images = rows_with_urls(tmp_path, [url, "http://127.0.0.1/x"])
    with pytest.raises(UnreadableImageError, match=os.strerror(2)):
        read_pixels(images, 0)


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[", "http://a b/", f"http://{'a' * 300}/", "http://127.0.0.1:99999/"],
)
def test_a_malformed_url_is_unreadable(tmp_path: Path, url: str) -> None:
    """Never an error of another kind."""
    with pytest.raises(UnreadableImageError, match="fetching its coco_url failed"):
        read_pixels(rows_with_urls(tmp_path, [url]), 0)


def test_a_refused_connection_is_unreadable(tmp_path: Path) -> None:
    """After a few tries; within seconds."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x.png"
        with pytest.raises(UnreadableImageError, match="fetching its coco_url failed"):
            read_pixels(rows_with_urls(tmp_path, [url]), 0)


def test_training_on_urls(server: Server, run: Run, tmp_path: Path) -> None:
    """Through the front door, and each image is fetched a few times at most."""
    urls: list[str | None] = [server.on(f"/{i}", (200, {}, png(i % 2, 32))) for i in range(8)]
    rows_with_urls(tmp_path / "d", urls)
    code, err = run({"--train-data-path": tmp_path / "d", "--epochs": 2})
    assert code == 0, err
    assert set(server.requests) == {f"/{i}" for i in range(8)}
    assert max(server.requests.values()) <= 3  # its size, its pixels, and as a sample
