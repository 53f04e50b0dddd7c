"""The web: HTTP/1.1 in the clear and over TLS 1.3, HTTP/2, HTTP/3, and video in segments."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import ssl
import sys

import aiohttp
import httpx
import requests
import urllib3

from loopback.certificates import make_chains
from loopback.network import Lab
from loopback.site import PASSWORD, USER, make_site, read_site, start_nginx
from loopback.workload import Service, Session, lognormal, name_of, text

__all__ = ["SERVICES"]

urllib3.disable_warnings()
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "loopback/1.0",
)
_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")


def _headers(session: Session) -> dict[str, str]:
    """Request headers of a browser, a script, or something between: they make the request's length."""
    rng = session.rng
    headers = {"User-Agent": session.client(*_AGENTS)}
    if rng.random() < 0.7:
        headers["Accept"] = rng.choice(["*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"])
    if rng.random() < 0.6:
        headers["Accept-Language"] = rng.choice(["en", "de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3", "fr-FR,fr;q=0.9"])
    if rng.random() < 0.6:
        headers["Accept-Encoding"] = rng.choice(["gzip", "gzip, deflate, br", "identity"])
    if rng.random() < 0.5:
        headers["Cookie"] = "; ".join(f"{name_of(rng)}={rng.getrandbits(64):x}" for _ in range(rng.randint(1, 8)))
    if rng.random() < 0.4:
        headers["Referer"] = f"http://{name_of(rng)}.test/{'/'.join(session.words(1, 5).split())}"
    return headers


def _host(session: Session) -> str:
    """How the client calls the server: mostly by a name, which its TLS hello then carries."""
    return session.host if session.chance(0.8) else session.server


def _targets(session: Session) -> list[str]:
    """What one visit asks for: a page with its parts, calls of an API, or odds and ends."""
    rng = session.rng
    visit = rng.choice(read_site(session.folder))
    kind = rng.random()
    if kind < 0.45:
        return [visit["page"], *visit["parts"]]
    if kind < 0.65:
        return [
            f"/api/search?q={'+'.join(session.words(1, 9).split())}&n={rng.randint(0, 80)}"
            for _ in range(rng.randint(1, 6))
        ]
    if kind < 0.75:
        return [f"/api/stream?n={rng.randint(2, 15)}&size={session.size(300)}"]
    if kind < 0.85:
        return [rng.choice([f"/missing/{name_of(rng)}", f"/moved/{name_of(rng)}", "/api/error", "/private/index.html"])]
    return rng.sample(visit["parts"], min(len(visit["parts"]), 2)) or [visit["page"]]


def _curl(session: Session, scheme: str, version: str) -> None:
    rng = session.rng
    command = ["curl", "-sk", version, "--max-time", "15", *(rng.choice([[], ["-L"], ["--compressed"], ["-I"]]))]
    for name, value in _headers(session).items():
        command += ["-H", f"{name}: {value}"]
    if scheme == "https":
        command += ["--tls13-ciphers", ":".join(rng.sample(_SUITES, rng.randint(1, 3)))]
        first = rng.choice(["X25519", "X25519", "P-256"])
        command += ["--curves", ":".join([first, *rng.sample(["P-384", "P-521", "X448"], rng.randint(0, 3))])]
        command += rng.choice([[], ["--no-alpn"] if version == "--http1.1" else [], ["--tlsv1.3"]])
    host = _host(session)
    if rng.random() < 0.2:
        command += ["-u", f"{USER}:{rng.choice([PASSWORD, 'wrong'])}"]
    if rng.random() < 0.25:
        size = session.size(2500, 1.4, 120_000)
        body = session.folder / f"body-{session.number}"
        body.write_bytes(rng.randbytes(size))
        command += rng.choice([["-T", body], ["--data-binary", f"@{body}"], ["-F", f"upload=@{body}"]])
        targets = [f"/api/items/{name_of(rng)}"]
    else:
        targets = _targets(session)
    if rng.random() < 0.15:
        command += ["-r", f"0-{session.size(4000)}"]
    if rng.random() < 0.3:
        command += ["--parallel", "--parallel-max", rng.choice(["2", "4"])]
    if rng.random() < 0.4:
        command += ["--rate", f"{rng.choice([2, 5, 20])}/s"]
    for target in targets:
        command += ["-o", "/dev/null", f"{scheme}://{host}{target}"]
    session.run(*command)


def _wget(session: Session, scheme: str) -> None:
    rng, host = session.rng, _host(session)
    command = ["wget", "-q", "--no-check-certificate", "-t", "1", "-T", "10", "-O", "/dev/null"]
    command += [*rng.choice([[], ["--no-http-keep-alive"], ["--header", f"X-Trace: {rng.getrandbits(96):x}"]])]
    command += ["-U", rng.choice(_AGENTS)]
    session.run(*command, *[f"{scheme}://{host}{target}" for target in _targets(session)[:6]])


def _requests(session: Session, scheme: str) -> None:
    rng, host = session.rng, _host(session)
    with requests.Session() as browser:
        browser.headers.update(_headers(session))
        browser.verify = browser.trust_env = False
        for _ in range(rng.randint(1, 3)):
            for target in _targets(session)[: rng.randint(1, 10)]:
                browser.get(f"{scheme}://{host}{target}", timeout=15, allow_redirects=rng.random() < 0.5)
                if rng.random() < 0.3:
                    session.think(0.05)
            if rng.random() < 0.3:
                form = {name_of(rng): session.words(1, 20) for _ in range(rng.randint(1, 8))}
                browser.post(f"{scheme}://{host}/api/items", data=form, timeout=15)
            session.think(0.3)


def _httpx(session: Session, scheme: str, http2: bool = False) -> None:
    rng, host, context = session.rng, _host(session), _context(session)
    with httpx.Client(verify=context, http2=http2, headers=_headers(session), timeout=15) as browser:
        for target in _targets(session):
            browser.get(f"{scheme}://{host}{target}")
            if rng.random() < 0.3:
                session.think(0.05)
        if rng.random() < 0.3:
            note = {"title": session.words(1, 6), "body": text(rng, session.size(600, 1.2, 30_000))}
            browser.put(f"{scheme}://{host}/api/items/{name_of(rng)}", json=note)


def _aiohttp(session: Session, scheme: str) -> None:
    host = _host(session)

    async def visit() -> None:
        connector = aiohttp.TCPConnector(limit=session.rng.choice([1, 2, 4]), ssl=_context(session))
        async with aiohttp.ClientSession(connector=connector, headers=_headers(session)) as browser:

            async def fetch(target: str) -> None:
                async with browser.get(f"{scheme}://{host}{target}") as answer:
                    await answer.read()

            first, *others = _targets(session)
            await fetch(first)
            await asyncio.gather(*map(fetch, others))

    asyncio.run(asyncio.wait_for(visit(), 20))


def _pipelined(session: Session, scheme: str) -> None:
    """Several requests in one write, as old browsers and load generators do."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in _headers(session).items())
    targets, host = _targets(session)[:5], _host(session)
    wish = "".join(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n" for target in targets[:-1])
    wish += f"GET {targets[-1]} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n"
    with socket.create_connection((session.server, 443 if scheme == "https" else 80), timeout=10) as plain:
        wire = _context(session).wrap_socket(plain, server_hostname=host) if scheme == "https" else plain
        wire.sendall(wish.encode())
        while wire.recv(65536):
            pass


def _keepalive(session: Session, scheme: str) -> None:
    """One connection with idle times: polling of an API by a script."""
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    extra = {"context": _context(session)} if scheme == "https" else {}
    wire = kind(_host(session), timeout=10, **extra)
    for _ in range(session.rng.randint(2, 12)):
        method = session.rng.choice(["GET", "GET", "GET", "HEAD", "DELETE"])
        wire.request(method, session.rng.choice(_targets(session)), headers=_headers(session))
        wire.getresponse().read()
        session.think(0.1)
    wire.close()


def _context(session: Session) -> ssl.SSLContext:
    """A client's TLS settings: cipher orders, protocol names and so the length of its hello."""
    rng = session.rng
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(rng.choice(["DEFAULT", "ECDHE+AESGCM", "HIGH:!aNULL", "ECDHE:!SHA1", "ALL:@SECLEVEL=1"]))
    if rng.random() < 0.4:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if rng.random() < 0.3:
        context.options |= ssl.OP_NO_TICKET
    return context


def _browse(session: Session, scheme: str) -> None:
    play = session.client(_curl, _requests, _keepalive, _aiohttp, _httpx, _wget, _pipelined)
    play(session, scheme, "--http1.1") if play is _curl else play(session, scheme)


def _browse_http2(session: Session) -> None:
    play = session.client("curl", "httpx", "nghttp")
    if play == "curl":
        _curl(session, "https", "--http2")
    elif play == "httpx":
        _httpx(session, "https", http2=True)
    else:
        rng, host = session.rng, _host(session)
        options = rng.choice([[], ["-w", "16"], ["-W", "20"], ["--no-dep"], ["-p", "64"], ["--hexdump"]])
        headers = [part for name, value in _headers(session).items() for part in ("-H", f"{name}: {value}")]
        links = [f"https://{host}{target}" for target in _targets(session)]
        session.run("nghttp", "-n", *options, *rng.choice([[], ["-a"], ["-m", "2"]]), *headers, *links)


def _start_http3(lab: Lab) -> None:
    make_chains(lab.persona, lab.folder)
    make_site(lab.persona, lab.folder)
    lab.spawn_python("programs_web", "http3", lab.folder)
    lab.wait_for(443, udp=True)


def _browse_http3(session: Session) -> None:
    """A client process of its own: aioquic wants its event loop to itself."""
    targets = [target for target in _targets(session) if not target.startswith(("/api", "/private"))]
    rng = session.rng
    wish = {
        "targets": targets or [rng.choice(read_site(session.folder))["page"]],
        "headers": _headers(session),
        "ciphers": rng.choice([1, 2, 3]),
        "idle": rng.choice([0, 0, 0.1, 0.5]),
        "together": rng.random() < 0.5,
        "upload": session.size(3000, 1.2, 60_000) if rng.random() < 0.2 else 0,
        "name": _host(session),
        "datagram": rng.choice([1200, 1252, 1350, 1400]),
    }
    session.run(sys.executable, "-m", "loopback.programs_web", "http3-client", session.server, json.dumps(wish))


def _start_video(lab: Lab) -> None:
    """Segments of a few films in four bit rates, sized as a variable-rate encoder would."""
    rng = lab.persona.rng("films")
    seconds = lab.persona.cycle(1, 2, 2, 4)
    for film in range(4):
        calm = rng.uniform(0.15, 0.6)
        for quality, rate in enumerate((25_000, 60_000, 110_000, 200_000)):
            lines = ["#EXTM3U", f"#EXT-X-TARGETDURATION:{seconds}"]
            for number in range(12):
                path = lab.folder / "site" / f"film{film}" / f"{quality}" / f"{number:05d}.ts"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(rng.randbytes(lognormal(rng, rate * seconds, calm, 2000, 600_000)))
                lines += [f"#EXTINF:{seconds:.3f},", path.name]
            (path.parent / "index.m3u8").write_text("\n".join(lines), encoding="utf-8")
        variants = [
            f"#EXT-X-STREAM-INF:BANDWIDTH={rate * 8}\n{quality}/index.m3u8"
            for quality, rate in enumerate((25_000, 60_000, 110_000, 200_000))
        ]
        (path.parent.parent / "main.m3u8").write_text("\n".join(["#EXTM3U", *variants]), encoding="utf-8")
    start_nginx(lab, tls=True, http2=lab.persona.index % 2 == 1)


def _watch(session: Session) -> None:
    """Play part of a film: playlist, then segments; the bit rate follows what came through; some seek or leave."""
    rng = session.rng
    film, quality, number = rng.randrange(4), rng.choice([0, 0, 1, 2]), rng.choice([0, 0, rng.randrange(12)])
    base = f"https://{session.host}/film{film}"
    http2 = rng.random() < 0.7
    with httpx.Client(verify=_context(session), http2=http2, headers=_headers(session), timeout=20) as player:
        if rng.random() < 0.7:
            player.get(f"{base}/main.m3u8")
        player.get(f"{base}/{quality}/index.m3u8")
        for step in range(rng.choice([1, 2, 3, 4, 6])):
            took = player.get(f"{base}/{quality}/{(number + step) % 12:05d}.ts").elapsed.total_seconds()
            new = min(quality + 1, 3) if took < 0.3 else max(quality - 1, 0) if took > 1 else quality
            if new != quality:
                quality = new
                player.get(f"{base}/{quality}/index.m3u8")
            if step:
                session.think(0.4, 0.5)
            if rng.random() < 0.1:
                number = rng.randrange(12)


SERVICES = {
    "http": Service(lambda lab: start_nginx(lab, tls=False), lambda s: _browse(s, "http"), ((6, 80, 80, "http"),)),
    "https": Service(lambda lab: start_nginx(lab, tls=True), lambda s: _browse(s, "https"), ((6, 443, 443, "https"),)),
    "http2": Service(lambda lab: start_nginx(lab, tls=True, http2=True), _browse_http2, ((6, 443, 443, "http2"),)),
    "http3": Service(_start_http3, _browse_http3, ((17, 443, 443, "http3"),), workers=2),
    "video": Service(_start_video, _watch, ((6, 443, 443, "video"),)),
}
