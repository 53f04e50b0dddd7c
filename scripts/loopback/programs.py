"""Servers written here, on real protocol libraries: ``python -m loopback.programs NAME …``.

They wait a little before they answer, for a time drawn per capture and request: the work a busy server would do.
"""

from __future__ import annotations

import asyncio
import json
import socketserver
import ssl
import subprocess
import sys
import threading
from pathlib import Path

from loopback.site import PASSWORD
from loopback.workload import Persona, lognormal, name_of, text, words


def serve_ftp(seed: str, capture: str, root: str) -> None:
    """FTP with a log-in and anonymous users (pyftpdlib)."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

    rng = Persona.named(seed, capture).rng("ftp")
    authorizer = DummyAuthorizer()
    for user, password in Persona.named(seed, capture).users.items():
        authorizer.add_user(user, password, root, perm="elradfmwMT")
    authorizer.add_anonymous(root, perm="elrw")

    class Transfer(ThrottledDTPHandler):
        read_limit = write_limit = rng.choice([0, 0, 400_000])

    class Handler(FTPHandler):
        dtp_handler = Transfer
        passive_ports = range(40_000, 41_000)
        banner = text(rng, rng.randint(5, 90))
        auth_failed_timeout = 1

    Handler.authorizer = authorizer
    ThreadedFTPServer(("0.0.0.0", 21), Handler).serve_forever()


def serve_smtp(seed: str, capture: str, folder: str) -> None:
    """A mail server that takes letters after log-in or without, and refuses some receivers (aiosmtpd)."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, AuthResult

    rng = Persona.named(seed, capture).rng("mail")
    busy = rng.choice([0.005, 0.02, 0.08])

    class Mailbox:
        async def handle_RCPT(self, server, session, envelope, address, options) -> str:  # noqa: N802
            """Refuse some."""
            await asyncio.sleep(min(rng.expovariate(1 / busy), 0.5))
            if rng.random() < 0.08:
                return f"550 5.1.1 {words(rng, rng.randint(2, 12))}"
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 Ok"

        async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802
            """Take the letter after a while."""
            await asyncio.sleep(min(rng.expovariate(1 / busy) * 3, 1.0))
            return f"250 2.0.0 Ok: queued as {rng.getrandbits(44):X}"

    def log_in(server, session, envelope, mechanism, data) -> AuthResult:
        return AuthResult(success=data.password == PASSWORD.encode())

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(folder) / "chain-0.pem", Path(folder) / "key-0.pem")

    class Server(Controller):
        def factory(self) -> SMTP:
            return SMTP(
                Mailbox(),
                hostname=f"{name_of(rng)}.{name_of(rng)}.test",
                ident=words(rng, rng.randint(1, 6)),
                tls_context=context,
                authenticator=log_in,
                auth_require_tls=rng.random() < 0.5,
            )

    Server(None, hostname="0.0.0.0", port=25).start()
    threading.Event().wait()


def serve_chat(seed: str, capture: str) -> None:
    """WebSocket rooms: chat is passed on to all, echo comes back, a ticker speaks on its own (websockets)."""
    import websockets

    rng = Persona.named(seed, capture).rng("chat")
    pace = rng.choice([0.15, 0.4, 1.0])
    users: set = set()

    async def tick(wire) -> None:
        while True:
            await asyncio.sleep(rng.expovariate(1 / pace))
            quotes = {name_of(rng): round(rng.gauss(100, 30), 3) for _ in range(rng.choice([1, 1, 4, 15]))}
            await wire.send(json.dumps(quotes))

    async def serve(wire) -> None:
        room = wire.request.path.split("/")[1]
        ticker = asyncio.create_task(tick(wire)) if room == "ticker" else None
        if room == "chat":
            users.add(wire)
            await wire.send(json.dumps({"welcome": words(rng, rng.randint(1, 40)), "users": len(users)}))
        try:
            async for said in wire:
                await asyncio.sleep(min(rng.expovariate(50), 0.3))
                if room == "chat":
                    websockets.broadcast(users, said)
                else:
                    await wire.send(said)
        finally:
            users.discard(wire)
            if ticker:
                ticker.cancel()

    async def run() -> None:
        compression = rng.choice(["deflate", None])
        async with websockets.serve(
            serve, "0.0.0.0", 8765, compression=compression, ping_interval=rng.choice([None, 1.5])
        ):
            await asyncio.Event().wait()

    asyncio.run(run())


def serve_far_end() -> None:
    """Run the media command that each TCP connection to port 7000 brings, if any, till its end."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            """Start what the line says."""
            command = json.loads(self.rfile.readline() or "[]")
            if command:
                subprocess.run(command, stdin=subprocess.DEVNULL, check=False)

    socketserver.ThreadingTCPServer(("0.0.0.0", 7000), Handler).serve_forever()


def serve_coap(seed: str, capture: str) -> None:
    """CoAP resources: a sensor to read, write and watch, a large one, a slow one (aiocoap)."""
    import aiocoap
    from aiocoap import resource

    rng = Persona.named(seed, capture).rng("coap")

    class Sensor(resource.ObservableResource):
        def __init__(self) -> None:
            super().__init__()
            self.value = b"20"

        async def change(self) -> None:
            """Tell the watchers now and then."""
            while True:
                await asyncio.sleep(rng.expovariate(3))
                self.value = json.dumps({name_of(rng): rng.gauss(20, 5) for _ in range(rng.choice([1, 1, 3]))}).encode()
                self.updated_state()

        async def render_get(self, request) -> aiocoap.Message:
            """The reading."""
            return aiocoap.Message(payload=self.value)

        async def render_put(self, request) -> aiocoap.Message:
            """Set it."""
            return aiocoap.Message(code=aiocoap.CHANGED, payload=words(rng, rng.randint(0, 9)).encode())

        render_post = render_put

    class Large(Sensor):
        async def render_get(self, request) -> aiocoap.Message:
            """Several blocks of text."""
            return aiocoap.Message(payload=text(rng, lognormal(rng, 1500, 0.8, 100, 8000)).encode())

    class Slow(Sensor):
        async def render_get(self, request) -> aiocoap.Message:
            """An answer after its empty acknowledgement."""
            await asyncio.sleep(rng.uniform(0.05, 0.6))
            return aiocoap.Message(payload=words(rng, rng.randint(1, 60)).encode())

    async def run() -> None:
        site, sensor = resource.Site(), Sensor()
        site.add_resource([".well-known", "core"], resource.WKCResource(site.get_resources_as_linkheader))
        site.add_resource(["temperature"], sensor)
        site.add_resource(["large"], Large())
        site.add_resource(["slow"], Slow())
        for _ in range(rng.randint(0, 12)):
            site.add_resource([name_of(rng), name_of(rng)], Large())
        await aiocoap.Context.create_server_context(site, bind=("0.0.0.0", 5683))
        await sensor.change()

    asyncio.run(run())


PROGRAMS = {"ftp": serve_ftp, "smtp": serve_smtp, "chat": serve_chat, "far-end": serve_far_end, "coap": serve_coap}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
