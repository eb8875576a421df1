"""A proxy in the environment is for other hosts: what this machine says to itself does not go through it."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from headway.device.fetcher import HttpFetcher
from headway.publisher.http import ApiClient, Retries

TOKEN = "hw_test_0123_secret"


class Listener(ThreadingHTTPServer):
    """Answers everything with `{}` and keeps what it was asked for: a proxy is asked for whole addresses."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def listening() -> Iterator[tuple[Listener, Listener]]:
    servers = Listener(), Listener()
    threads = [Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    yield servers
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def test_loopback_goes_past_the_proxy_and_other_hosts_through_it(
    listening: tuple[Listener, Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, proxy = listening
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for url in (registry.url, registry.url.replace("127.0.0.1", "localhost"), "http://registry.invalid"):
        api, device = ApiClient(url, TOKEN, retries=Retries(attempts=1)), HttpFetcher()
        api.send("GET", "v1/x")
        device.fetch(f"{url}/metadata", max_bytes=100)
        api.close()
        device.close()
    assert registry.asked == ["/v1/x", "/metadata"] * 2
    assert proxy.asked == ["http://registry.invalid/v1/x", "http://registry.invalid/metadata"]
