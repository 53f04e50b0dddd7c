"""A web site of a persona's own: pages with their parts, on disk, and nginx to serve it."""

from __future__ import annotations

import json
from pathlib import Path

from loopback.certificates import make_chains, nginx_certificates
from loopback.network import Lab
from loopback.workload import Persona, lognormal, name_of, text

__all__ = ["PASSWORD", "USER", "read_site", "start_nginx"]

USER, PASSWORD = "reader", "loopback"
_KINDS = {"css": 6_000, "js": 18_000, "png": 9_000, "svg": 1_500, "woff2": 16_000, "json": 900, "ico": 400}

_NGINX = """
user root; worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types; access_log off; sendfile on; server_tokens {tokens};
  keepalive_timeout {keepalive}s; keepalive_requests {requests}; gzip {gzip}; gzip_types text/css application/json;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp; client_max_body_size 8m;
  output_buffers 2 {buffer}k; {names}
  server {{
    listen {listen}; {tls}
    root {folder}/site; etag {etag}; {headers}
    location /api/ {{ proxy_pass http://127.0.0.1:9000; proxy_http_version 1.1; proxy_buffering off; }}
    location /moved/ {{ return 302 /index.html; }}
    location /private/ {{ auth_basic "members"; auth_basic_user_file {folder}/users; alias {folder}/site/; }}
  }}
}}
"""


def make_site(persona: Persona, folder: Path) -> None:
    """Write pages and their parts below ``folder/site`` and the list of them to ``folder/site.json``."""
    rng = persona.rng("site")
    root = folder / "site"
    pages, shared = [], []

    def put(path: str, size: int, prose: bool) -> str:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text(rng, size).encode() if prose else rng.randbytes(size))
        return f"/{path}"

    def part(kind: str, place: str) -> str:
        name = f"{place}/{name_of(rng)}{rng.choice(['', '.min', f'-{rng.getrandbits(32):08x}'])}.{kind}"
        return put(name, lognormal(rng, _KINDS[kind], 1.1, 60, 150_000), kind in ("css", "js", "svg", "json"))

    for kind in rng.choices(list(_KINDS), k=rng.randint(2, 6)):
        shared += [part(kind, rng.choice(["static", "assets/build", "s", "media/themes/default"]))]
    weight = rng.choice([3_000, 9_000, 25_000])
    for number in range(24):
        place = "/".join(name_of(rng) for _ in range(rng.randint(0, 3)))
        name = f"{place}/{name_of(rng)}.html".lstrip("/") if number else "index.html"
        page = put(name, lognormal(rng, weight, 0.9, 200, 150_000), True)
        own = [part(kind, place or "i") for kind in rng.choices(list(_KINDS), k=rng.choice([0, 1, 2, 3, 5, 8]))]
        pages.append({"page": page, "parts": [*rng.sample(shared, rng.randint(0, len(shared))), *own]})
    (folder / "site.json").write_text(json.dumps(pages), encoding="utf-8")


def read_site(folder: Path) -> list[dict]:
    """The pages of the site in `folder`: ``{"page": path, "parts": [path]}`` each."""
    return json.loads((folder / "site.json").read_text(encoding="utf-8"))


def start_nginx(lab: Lab, *, tls: bool, http2: bool = False) -> None:
    """Make the persona's site and serve it on port 80, or on 443 over TLS 1.3."""
    persona, rng, folder = lab.persona, lab.persona.rng("nginx"), lab.folder
    make_site(persona, folder)
    (folder / "tmp").mkdir(exist_ok=True)
    names = lines = ""
    if tls:
        make_chains(persona, folder)
        names, chosen = nginx_certificates(persona, folder)
        lines = (
            f"{chosen} ssl_protocols TLSv1.3; "
            f"ssl_session_tickets {rng.choice(['on', 'off'])}; "
            f"ssl_conf_command NumTickets {persona.cycle(2, 1, 2, 0)}; "
            f"ssl_buffer_size {rng.choice([4, 8, 16])}k; "
            f"ssl_ecdh_curve {persona.cycle('X25519:prime256v1', 'prime256v1:X25519', 'X25519:prime256v1:secp384r1')};"
        )
    headers = [
        f'add_header X-{name_of(rng).title()} "{text(rng, rng.randint(4, 60))}";' for _ in range(rng.randint(0, 7))
    ]
    lab.write("users", f"{USER}:{{PLAIN}}{PASSWORD}\n")
    port = 443 if tls else 80
    configuration = _NGINX.format(
        folder=folder,
        listen=f"{port}{' ssl' if tls else ''}{' http2' if http2 else ''}",
        tls=lines,
        names=names,
        headers=" ".join(headers),
        tokens=rng.choice(["on", "off"]),
        keepalive=rng.choice([2, 5, 65]),
        requests=rng.choice([8, 20, 1000]),
        gzip=rng.choice(["on", "off"]),
        etag=rng.choice(["on", "off"]),
        buffer=rng.choice([16, 32, 64]),
    )
    lab.spawn_python("programs_web", "backend", persona.seed, persona.capture)
    lab.spawn("nginx", "-c", lab.write("nginx.conf", configuration))
    lab.wait_for(9000, port)
