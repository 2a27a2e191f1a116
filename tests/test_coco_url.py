"""Images that lie behind a ``coco_url``: a local server, and what is refused.

The server is on this machine, so the tests that mean to fetch from it allow private addresses.
"""

import http.server
import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Arguments, Run, picture, refused
from tests.loading import load
from tests.test_image_directory import (
    categories_of,
    coco_of,
    describe,
    rows_of,
    schema_of,
)
from tools.sync_docs import COMPONENTS
from train_pytorch_model.companions import convert_to_image_directory, split_image_directory
from train_pytorch_model.component import PRIVATE_URLS
from train_pytorch_model.data.decode import UnreadableImageError, read_pixels
from train_pytorch_model.ports import web
from train_pytorch_model.ports.image_bytes import image_bytes
from train_pytorch_model.ports.image_directory import read_image_directory
from train_pytorch_model.ports.image_set import ImageSet
from train_pytorch_model.ports.public_addresses import is_public

Answer = tuple[int, dict[str, str], bytes]


def png(seed: int, size: int = 8) -> bytes:
    """The file of a picture."""
    file = io.BytesIO()
    picture(seed, size, hue=seed).save(file, "PNG")
    return file.getvalue()


class Server:
    """A web server on this machine that answers as it is told, and counts."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: Counter[str] = Counter()
        self.connections = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def setup(self) -> None:
                """Count a connection, even if nothing is asked."""
                server.connections += 1
                super().setup()

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

        self.http = http.server.ThreadingHTTPServer((address, 0), Handler)
        self.port = self.http.server_port
        self.base = f"http://{address}:{self.port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def on(self, path: str, *answers: Answer) -> str:
        """Answer requests of ``path`` with these; returns the URL."""
        self.answers[path] = list(answers)
        return self.base + path


@pytest.fixture(autouse=True)
def no_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are used again, and servers that were down in another test are not down in this one."""
    monkeypatch.setattr(web, "_SERVERS", web._Servers())


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that stops with the test."""
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def rows_with_urls(root: Path, urls: list[str | None], private_urls: bool = True) -> ImageSet:
    """An ImageDirectory whose images have these URLs, and no file."""
    rows = rows_of([("cat", "dog")[i % 2] for i in range(len(urls))])
    for row, url in zip(rows, urls, strict=True):
        row["image_info"]["coco_url"] = url
    describe(root, rows, schema_of(categories_of("cat", "dog")))
    return read_image_directory(root, "p", private_urls=private_urls)


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
    images = read_image_directory(tmp_path, "p", private_urls=True)
    loaded = load(images)
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
    allowed = {"--private-urls": True}
    code, err = run({"--train-data-path": tmp_path / "d", "--epochs": 2, **allowed})
    assert code == 0, err
    assert set(server.requests) == {f"/{i}" for i in range(8)}
    assert max(server.requests.values()) <= 3  # its size, its pixels, and as a sample


# --- addresses: a stranger's URL must not reach what only this machine can ---


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1"),
        *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192"),
        *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255"),
        *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
        *("255.255.255.255", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fe80::1%lo", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("2001:db8::1", "2001::1", "100::1", "3fff::1", "4000::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1"),
        *("2002:7f00:1::1", "2002:808:808::1", "2001:0:808:808::1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    """IANA's special-purpose registries, the metadata services of clouds, IPv4 within IPv6."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "100.63.255.255", "172.32.0.1", "192.169.0.1"),
        *("2606:4700::1", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"),
    ],
)
def test_addresses_that_are_public(address: str) -> None:
    """Their neighbours."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/0",
        "HTTP://127.0.0.1:{port}/0",
        "https://127.0.0.1:{port}/0",
        "http://localhost:{port}/0",
        "http://LOCALHOST.:{port}/0",
        "http://127.1:{port}/0",
        "http://2130706433:{port}/0",
        "http://0x7f000001:{port}/0",
        "http://0x7f.0.0.1:{port}/0",
        "http://0177.0.0.01:{port}/0",
        "http://0:{port}/0",
        "http://0.0.0.0:{port}/0",
        "http://127.0.0.2:{port}/0",
        "http://[::1]:{port}/0",
        "http://[::]:{port}/0",
        "http://[::ffff:127.0.0.1]:{port}/0",
        "http://[::ffff:7f00:1]:{port}/0",
        "http://[64:ff9b::127.0.0.1]:{port}/0",
        "http://[fe80::1%25lo]:{port}/0",
        "http://8.8.8.8@127.0.0.1:{port}/0",
        "http://user:8.8.8.8@127.0.0.1:{port}/0",
        "http://8.8.8.8%40x@localhost:{port}/0",
        "http://169.254.169.254/metadata/instance?api-version=2021-02-01",
        "http://168.63.129.16/machine/?comp=goalstate",
        "http://192.168.0.1:80/",
    ],
)
def test_private_addresses_are_refused(server: Server, tmp_path: Path, url: str) -> None:
    """However they are spelled: nothing is asked, nothing even connected to."""
    server.on("/0", (200, {}, png(0)))
    images = rows_with_urls(tmp_path, [url.format(port=server.port)], private_urls=False)
    with pytest.raises(
        UnreadableImageError, match="needs --private-urls True, as its coco_url leads to"
    ):
        read_pixels(images, 0)
    assert (server.connections, server.requests) == (0, {})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1\\@8.8.8.8:{port}/",
        "http://①②⑦.⓪.⓪.①:{port}/0",
        "http://127。0。0。1:{port}/",
        "http://[::1:{port}/0",
        "http://127.0.0.1:{port}:80/0",
        "http://127.0.0.1%00.x:{port}/0",
    ],
)
def test_garbled_addresses_are_unreadable(server: Server, tmp_path: Path, url: str) -> None:
    """What parsers read in different ways."""
    images = rows_with_urls(tmp_path, [url.format(port=server.port)], private_urls=False)
    with pytest.raises(UnreadableImageError, match="coco_url"):
        read_pixels(images, 0)
    assert server.connections == 0


@pytest.fixture
def public_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on 127.0.0.2, which counts as an address of the public internet."""
    monkeypatch.setattr(web, "is_public", lambda ip: ip == "127.0.0.2" or is_public(ip))
    server = Server("127.0.0.2")
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.mark.parametrize("hops", [1, 2])
def test_redirects_to_private_addresses_are_refused(
    server: Server, public_server: Server, tmp_path: Path, hops: int
) -> None:
    """Each hop is checked as the first one is."""
    target = server.on("/secret", (200, {}, png(0)))
    for hop in range(hops):
        target = public_server.on(f"/{hop}", (302, {"Location": target}, b""))
    images = rows_with_urls(tmp_path, [target], private_urls=False)
    with pytest.raises(UnreadableImageError, match=r"leads to 127\.0\.0\.1$"):
        read_pixels(images, 0)
    assert (server.connections, sum(public_server.requests.values())) == (0, hops)


def test_a_name_is_looked_up_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time gains nothing."""
    answers = iter([("8.8.8.8", server.port)] + [("127.0.0.1", server.port)] * 9)
    connected: list[object] = []

    def look_up(*_: object, **__: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", next(answers))]

    def connect(_: object, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(web._Socket, "connect", connect)
    images = rows_with_urls(tmp_path, [f"http://rebind.example:{server.port}/0"], False)
    with pytest.raises(UnreadableImageError, match="coco_url"):
        read_pixels(images, 0)
    assert connected == [("8.8.8.8", server.port)]
    assert server.connections == 0


def test_of_several_addresses_only_public_ones_are_used(
    server: Server, public_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever their order."""
    public_server.on("/0", (200, {}, png(0)))
    port = public_server.port
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    images = rows_with_urls(tmp_path, [f"http://two.example:{port}/0"], private_urls=False)
    assert image_bytes(images, 0) == png(0)
    assert (server.connections, public_server.requests) == (0, {"/0": 1})


def test_proxies_of_the_environment_are_not_used(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would fetch what this machine must not."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, server.base)
    images = rows_with_urls(tmp_path, ["http://10.0.0.1/0"], private_urls=False)
    with pytest.raises(UnreadableImageError, match="needs --private-urls True"):
        read_pixels(images, 0)
    assert server.connections == 0


def test_training_is_refused_without_the_setting(
    server: Server, run: Run, arguments: Arguments, tmp_path: Path
) -> None:
    """Through the front door; the message names the setting."""
    urls: list[str | None] = [server.on(f"/{i}", (200, {}, png(i))) for i in range(8)]
    rows_with_urls(tmp_path / "d", urls)
    start = "InvalidDatasetError (0018): training_dataset: 8 of 8 images cannot be read"
    line = refused(run, arguments, {"--train-data-path": tmp_path / "d"}, start)
    assert "--private-urls True" in line
    assert server.connections == 0


@pytest.mark.parametrize(("words", "samples"), [([], 0), (["--private-urls", "True"], 3)])
def test_companions_take_the_setting(
    server: Server, tmp_path: Path, words: list[str], samples: int
) -> None:
    """Convert and split leave images behind their URLs; only samples are fetched."""
    urls: list[str | None] = [server.on(f"/{i}", (200, {}, png(i))) for i in range(8)]
    rows_with_urls(tmp_path / "d", urls)
    flags = ["--input_path", str(tmp_path / "d"), "--output_path", str(tmp_path / "out"), *words]
    assert convert_to_image_directory.main(flags) == 0
    assert sum(server.requests.values()) == samples
    outputs = ["--tgt_train_path", str(tmp_path / "1"), "--tgt_test_path", str(tmp_path / "2")]
    flags = ["--src_path", str(tmp_path / "out"), *outputs, "--fraction", "0.5", *words]
    assert split_image_directory.main(flags) == 0
    assert sum(server.requests.values()) == 3 * samples


def test_addresses_that_give_nothing_are_not_all_asked_for_samples(
    server: Server, tmp_path: Path
) -> None:
    """There may be a million, and each takes a while."""
    urls: list[str | None] = [server.on(f"/{i}", (404, {}, b"")) for i in range(30)]
    rows_with_urls(tmp_path / "d", urls)
    words = ["--input_path", str(tmp_path / "d"), "--output_path", str(tmp_path / "out")]
    assert convert_to_image_directory.main([*words, "--private-urls", "True"]) == 0
    assert sum(server.requests.values()) == 10
    assert json.loads((tmp_path / "out" / "_samples.json").read_text()) == []


def test_every_step_that_reads_images_has_the_setting() -> None:
    """And no other; it is a setting, which no spec has."""
    for component in COMPONENTS:
        reads = any(port.type in ("ImageDirectory", "AnyDirectory") for port in component.inputs)
        assert (PRIVATE_URLS in component.settings) == reads, component.name
        assert PRIVATE_URLS not in component.parameters


# --- encrypted ---


def certificate(folder: Path, name: str) -> Path:
    """A certificate for the server ``name``, which signs itself, and its key: one PEM file."""
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(words, check=True, capture_output=True)
    path = folder / "both.pem"
    path.write_bytes((folder / "cert.pem").read_bytes() + (folder / "key.pem").read_bytes())
    return path


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_https_is_verified_by_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it is an address that is connected to."""
    pem = certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    server.on("/0", (200, {}, png(0)))
    urls = [f"https://{host}:{server.port}/0" for host in ("localhost", "127.0.0.1")]
    images = rows_with_urls(tmp_path / "d", [*urls])
    web._http.cache_clear()
    with pytest.raises(UnreadableImageError, match="SSLError"):  # nobody has signed it
        read_pixels(images, 0)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    web._http.cache_clear()
    assert image_bytes(images, 0) == png(0)
    with pytest.raises(UnreadableImageError, match="SSLError"):  # it is another's
        read_pixels(images, 1)
    assert server.requests == {"/0": 1}
    monkeypatch.setattr(web, "FETCH_SECONDS", 0.0)
    with pytest.raises(UnreadableImageError, match="fetching its coco_url failed"):
        read_pixels(images, 0)
    web._http.cache_clear()


# --- limits ---


def slow_server(first: bytes, pause: float) -> tuple[socket.socket, str]:
    """A server that sends ``first``, then a byte each ``pause`` seconds, until it is closed."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.recv(1 << 16)
            connection.sendall(first)
            try:
                while True:
                    time.sleep(pause)
                    connection.sendall(b"x")
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", id="before the status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", id="in a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", id="in the content"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", id="in a chunk"),
    ],
)
def test_a_server_that_drips_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    """It never is silent for long, and would hold a thread for ever."""
    monkeypatch.setattr(web, "FETCH_SECONDS", 1.0)
    listener, url = slow_server(first, pause=0.05)
    with listener:
        images = rows_with_urls(tmp_path, [url])
        begin = time.monotonic()
        with pytest.raises(UnreadableImageError, match="fetching its coco_url failed"):
            read_pixels(images, 0)
        assert time.monotonic() - begin < 10


def test_a_server_that_is_down_is_given_up(tmp_path: Path) -> None:
    """After a few images; the others cost nothing, and say why."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        images = rows_with_urls(tmp_path, [f"{url}{i}" for i in range(2000)])
        reasons = []
        begin = time.monotonic()
        for index in range(2000):
            with pytest.raises(UnreadableImageError) as caught:
                read_pixels(images, index)
            reasons.append(str(caught.value))
        assert time.monotonic() - begin < 60
    silent = [why for why in reasons if re.search("could not be reached 5 times in a row", why)]
    assert len(silent) == len(images) - web.MAX_FAILURES


def test_a_server_that_comes_back_is_asked_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a rest; and an answer of any kind is one."""
    images = rows_with_urls(tmp_path, [server.on("/0", (200, {}, png(0)))])
    for _ in range(web.MAX_FAILURES):
        web._SERVERS.note(f"127.0.0.1:{server.port}", failed=True)
    with pytest.raises(UnreadableImageError, match="rests for a minute"):
        read_pixels(images, 0)
    monkeypatch.setattr(web, "REST_SECONDS", 0.0)
    assert image_bytes(images, 0) == png(0)


def test_large_content_is_refused(server: Server, tmp_path: Path) -> None:
    """Before it is all in memory."""
    images = rows_with_urls(tmp_path, [server.on("/0", (200, {}, bytes(1 << 20)))])
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        image_bytes(images, 0, max_bytes=1000)


def test_compressed_content_is_not_unpacked_beyond_the_limit(
    server: Server, tmp_path: Path
) -> None:
    """128 MB of zeros are 128 KB on the way."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(8)) + packer.flush()
    images = rows_with_urls(tmp_path, [server.on("/0", (200, {"Content-Encoding": "gzip"}, bomb))])
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="more than 1,000,000 bytes"):
            image_bytes(images, 0, max_bytes=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
