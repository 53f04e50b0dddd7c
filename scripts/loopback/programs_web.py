"""Web servers (and one client) written here, on real protocol libraries: ``python -m loopback.programs_web NAME …``.

Each waits a little before it answers, for a time drawn per capture and request: the work a busy server would do.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from loopback.workload import Persona, lognormal, words


def serve_web(seed: str, capture: str) -> None:
    """The dynamic part of a web site, behind nginx: search, uploads, streams, errors."""
    rng = Persona.named(seed, capture).rng("backend")
    busy = rng.choice([0.002, 0.01, 0.03, 0.08])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def answer(self, status: int, body: bytes) -> None:
            time.sleep(min(rng.expovariate(1 / busy), 1.0))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            """Search, stream or fail."""
            wish = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(wish.query).items()}
            if wish.path == "/api/search":
                hits = [{"title": words(rng, 5), "note": words(rng, 12)} for _ in range(int(query.get("n", 1)))]
                self.answer(200, json.dumps(hits).encode())
            elif wish.path == "/api/stream":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for _ in range(int(query["n"])):
                    piece = rng.randbytes(lognormal(rng, int(query["size"]), 0.6, 1, 20_000))
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    time.sleep(min(rng.expovariate(1 / 0.05), 0.4))
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.answer(500 if wish.path == "/api/error" else 404, words(rng, rng.randint(2, 40)).encode())

        do_HEAD = do_DELETE = do_GET  # noqa: N815

        def do_POST(self) -> None:
            """Take an upload."""
            left = int(self.headers.get("Content-Length", 0))
            while left > 0:
                left -= len(self.rfile.read(min(left, 65536)))
            self.answer(
                rng.choice([200, 201, 201, 413]),
                json.dumps({"id": rng.getrandbits(64), "note": words(rng, 6)}).encode(),
            )

        do_PUT = do_POST  # noqa: N815

    ThreadingHTTPServer(("127.0.0.1", 9000), Handler).serve_forever()


def serve_http3(folder: str) -> None:
    """The site in `folder` over HTTP/3 (aioquic)."""
    from aioquic.asyncio import QuicConnectionProtocol, serve
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import HeadersReceived
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.events import ProtocolNegotiated

    root = Path(folder) / "site"

    class Site(QuicConnectionProtocol):
        http = None

        def quic_event_received(self, event) -> None:
            """Answer each request with the file it names."""
            if isinstance(event, ProtocolNegotiated):
                self.http = H3Connection(self._quic)
            for message in self.http.handle_event(event) if self.http else ():
                if isinstance(message, HeadersReceived):
                    path = root / dict(message.headers)[b":path"].decode().lstrip("/")
                    body = path.read_bytes() if path.is_file() else b"not found"
                    status = b"200" if path.is_file() else b"404"
                    headers = [
                        (b":status", status),
                        (b"content-length", str(len(body)).encode()),
                        (b"server", b"aioquic"),
                    ]
                    self.http.send_headers(message.stream_id, headers)
                    self.http.send_data(message.stream_id, body, end_stream=True)
                    self.transmit()

    async def run() -> None:
        configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"])
        configuration.load_cert_chain(Path(folder) / "chain-0.pem", Path(folder) / "key-0.pem")
        await serve("0.0.0.0", 443, configuration=configuration, create_protocol=Site)
        await asyncio.Event().wait()

    asyncio.run(run())


def fetch_http3(server: str, wish_text: str) -> None:
    """Fetch what the JSON text `wish_text` asks for, over one HTTP/3 connection."""
    from aioquic.asyncio import QuicConnectionProtocol, connect
    from aioquic.h3.connection import H3Connection
    from aioquic.h3.events import DataReceived, HeadersReceived
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.tls import CipherSuite

    wish = json.loads(wish_text)

    class Browser(QuicConnectionProtocol):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            self.http, self.waiting = H3Connection(self._quic), {}

        def quic_event_received(self, event) -> None:
            """Note which answers are complete."""
            for message in self.http.handle_event(event):
                if isinstance(message, (HeadersReceived, DataReceived)) and message.stream_ended:
                    self.waiting.pop(message.stream_id).set_result(None)

        def ask(self, path: str, upload: int = 0) -> asyncio.Future:
            """Send one request; the future is done with its answer."""
            stream = self._quic.get_next_available_stream_id()
            base = {
                ":method": "POST" if upload else "GET",
                ":scheme": "https",
                ":authority": wish["name"],
                ":path": path,
            }
            headers = [(name.lower().encode(), value.encode()) for name, value in (base | wish["headers"]).items()]
            self.http.send_headers(stream, headers, end_stream=not upload)
            if upload:
                self.http.send_data(stream, bytes(upload), end_stream=True)
            self.waiting[stream] = asyncio.get_running_loop().create_future()
            self.transmit()
            return self.waiting[stream]

    async def run() -> None:
        suites = [CipherSuite.AES_256_GCM_SHA384, CipherSuite.CHACHA20_POLY1305_SHA256, CipherSuite.AES_128_GCM_SHA256]
        configuration = QuicConfiguration(
            is_client=True,
            alpn_protocols=["h3"],
            verify_mode=ssl.CERT_NONE,
            server_name=wish["name"],
            cipher_suites=suites[: wish["ciphers"]],
            max_datagram_size=wish["datagram"],
        )
        async with connect(server, 443, configuration=configuration, create_protocol=Browser) as browser:
            if wish["upload"]:
                await browser.ask(wish["targets"][0], wish["upload"])
            if wish["together"]:
                await asyncio.gather(*map(browser.ask, wish["targets"]))
            else:
                for target in wish["targets"]:
                    await browser.ask(target)
                    await asyncio.sleep(wish["idle"])

    asyncio.run(asyncio.wait_for(run(), 15))


PROGRAMS = {"backend": serve_web, "http3": serve_http3, "http3-client": fetch_http3}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
