"""Name service: DNS in the clear, over TLS and over HTTPS."""

from __future__ import annotations

import base64
import socket
import ssl

import dns.edns
import dns.message
import dns.query
import httpx

from loopback.certificates import make_chains, nginx_certificates
from loopback.network import Lab
from loopback.workload import Persona, Service, Session, name_of, text

__all__ = ["SERVICES"]

_UNBOUND = """
server:
  interface: 0.0.0.0@53
  interface: 127.0.0.1@8053
  access-control: 10.77.0.0/24 allow
  https-port: 8053
  http-notls-downstream: yes
  incoming-num-tcp: 100
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  do-daemonize: no
  use-syslog: no
  num-threads: 1
  minimal-responses: {minimal}
  pad-responses: {pad}
  local-zone: "{zone}." static
"""


_NGINX = """
load_module modules/ngx_stream_module.so;
user root; worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
stream {{
  {names}
  {chosen} ssl_protocols {versions}; ssl_conf_command NumTickets {tickets};
  ssl_alpn h2 dot; proxy_buffer_size {buffer}k;
  server {{ listen 853 ssl; proxy_pass 127.0.0.1:53; }}
  server {{ listen 443 ssl; proxy_pass 127.0.0.1:8053; }}
}}
"""


def _zone(persona: Persona) -> tuple[str, dict[str, list[tuple[str, str]]]]:
    """A zone and its names: each with (type, data) records of many sizes."""
    rng = persona.rng("zone")
    zone = f"{name_of(rng)}.{rng.choice(['test', 'example', 'internal'])}"
    names: dict[str, list[tuple[str, str]]] = {zone: [("SOA", f"ns.{zone}. admin.{zone}. 1 3600 600 86400 60")]}
    for _ in range(120):
        name = f"{'.'.join(name_of(rng, 1, 6) for _ in range(rng.choice([1, 1, 1, 2, 3])))}.{zone}"
        records = [("A", f"192.0.2.{rng.randint(1, 254)}") for _ in range(rng.choice([1, 1, 1, 2, 4, 8, 13]))]
        records += [("AAAA", f"2001:db8::{rng.getrandbits(16):x}") for _ in range(rng.choice([0, 1, 1, 4]))]
        if rng.random() < 0.5:
            records.append(("TXT", f'"{text(rng, min(rng.choice([20, 60, 130, 250]), 250))}"'))
        if rng.random() < 0.15:
            records += [
                ("TXT", f'"v={number} {text(rng, rng.randint(50, 220))}"') for number in range(rng.randint(2, 8))
            ]
        if rng.random() < 0.4:
            records += [("MX", f"{n}0 {name_of(rng)}.mx.{zone}.") for n in range(rng.randint(1, 5))]
        if rng.random() < 0.3:
            records += [
                ("SRV", f"{n} 5 {rng.randint(80, 9000)} {name_of(rng)}.{zone}.") for n in range(rng.randint(1, 4))
            ]
        names[name] = records
    return zone, names


def _start(lab: Lab) -> None:
    zone, names = _zone(lab.persona)
    rng = lab.persona.rng("unbound")
    configuration = _UNBOUND.format(
        folder=lab.folder,
        zone=zone,
        minimal=rng.choice(["yes", "no"]),
        pad=rng.choice(["yes", "yes", "no"]),
    )
    for name, records in names.items():
        configuration += "".join(f"  local-data: '{name}. 300 IN {kind} {data}'\n" for kind, data in records)
    lab.spawn("unbound", "-d", "-c", lab.write("unbound.conf", configuration))
    lab.wait_for(53, udp=True)


def _start_encrypted(lab: Lab) -> None:
    """unbound behind nginx, which ends TLS with a certificate for each of its names."""
    _start(lab)
    rng = lab.persona.rng("nginx")
    make_chains(lab.persona, lab.folder)
    names, chosen = nginx_certificates(lab.persona, lab.folder)
    configuration = _NGINX.format(
        folder=lab.folder,
        names=names,
        chosen=chosen,
        versions=rng.choice(["TLSv1.3", "TLSv1.2 TLSv1.3"]),
        tickets=lab.persona.cycle(2, 1, 2, 0),
        buffer=rng.choice([4, 8, 16]),
    )
    lab.spawn("nginx", "-c", lab.write("nginx.conf", configuration))
    lab.wait_for(853, 443)


def _start_plain(lab: Lab) -> None:
    """unbound or dnsmasq, by turns."""
    if lab.persona.index % 2:
        _start(lab)
        return
    zone, names = _zone(lab.persona)
    lines = [
        "no-resolv",
        "no-hosts",
        f"local=/{zone}/",
        "user=root",
        f"edns-packet-max={lab.persona.cycle(1232, 4096)}",
    ]
    for name, records in names.items():
        for kind, data in records:
            if kind in ("A", "AAAA"):
                lines.append(f"host-record={name},{data}")
            elif kind == "TXT":
                lines.append(f"txt-record={name},{data}")
            elif kind == "MX":
                lines.append(f"mx-host={name},{data.split()[1]},{data.split()[0]}")
            elif kind == "SRV":
                priority, weight, port, target = data.split()
                lines.append(f"srv-host={name},{target},{port},{priority},{weight}")
    lab.spawn(
        "dnsmasq", "-k", "-C", lab.write("dnsmasq.conf", "\n".join(lines) + "\n"), "-x", lab.folder / "dnsmasq.pid"
    )
    lab.wait_for(53, udp=True)


def _question(session: Session, names: dict) -> tuple[str, str]:
    """A name and a type: mostly what is there, sometimes not."""
    rng = session.rng
    name = rng.choice(list(names))
    if rng.random() < 0.15:
        name = f"{name_of(rng, 1, 8)}.{name}" if rng.random() < 0.7 else f"{name_of(rng)}.invalid"
    kind = rng.choice(["A", "A", "A", "AAAA", "AAAA", "TXT", "MX", "SRV", "NS", "SOA", "HTTPS", "CAA", "ANY"])
    return name, kind


def _message(session: Session, names: dict) -> dns.message.Message:
    rng = session.rng
    name, kind = _question(session, names)
    query = dns.message.make_query(name, kind, want_dnssec=rng.random() < 0.3)
    style = rng.random()
    if style < 0.5:
        options = [dns.edns.GenericOption(10, rng.randbytes(8))] if rng.random() < 0.5 else []
        options += [dns.edns.ECSOption("198.51.100.0", 24)] if rng.random() < 0.2 else []
        query.use_edns(0, payload=rng.choice([512, 1232, 4096]), options=options, pad=rng.choice([0, 0, 128]))
    elif style < 0.7:
        query.use_edns(0, payload=1232)
    return query


def _resolve(session: Session) -> None:
    _, names = _zone(session.persona)
    rng = session.rng
    play = session.client("stub", "dig", "kdig", "drill", "burst")
    name, kind = _question(session, names)
    if play == "dig":
        extra = rng.sample(
            ["+dnssec", "+nocookie", "+bufsize=512", "+nsid", "+subnet=203.0.113.0/24", "+noedns", "+ignore"],
            rng.randint(0, 3),
        )
        session.run("dig", f"@{session.server}", name, kind, "+tries=1", "+time=3", *extra)
    elif play == "kdig":
        extra = rng.sample(
            ["+dnssec", "+cookie", "+padding=128", "+nsid", "+bufsize=1232", "+nordflag"], rng.randint(0, 2)
        )
        session.run("kdig", f"@{session.server}", name, kind, "+retry=0", *extra)
    elif play == "drill":
        session.run("drill", *rng.choice([[], ["-D"], ["-b", "1232"]]), name, f"@{session.server}", kind)
    else:
        _ask_from_one_port(session, names, rng.choice([1, 2, 2]) if play == "stub" else rng.randint(2, 12))


def _ask_from_one_port(session: Session, names: dict, count: int) -> None:
    """A forwarder or a stub that asks A and AAAA at once: several questions from one port, some asked again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.settimeout(2)
        port.connect((session.server, 53))
        together = session.chance(0.5)
        for _ in range(count):
            wire = _message(session, names).to_wire()
            port.send(wire)
            if session.chance(0.05):
                port.send(wire)
            if not together:
                port.recv(4096)
                session.think(0.05)
        port.settimeout(0.5)
        try:
            while together:
                port.recv(4096)
        except TimeoutError:
            return


def _resolve_tls(session: Session) -> None:
    _, names = _zone(session.persona)
    rng = session.rng
    if session.client("kdig", "python", "python") == "kdig":
        questions = [part for _ in range(rng.randint(1, 6)) for part in _question(session, names)]
        extra = rng.sample(["+dnssec", "+padding", "+padding=468", "+nopadding", "+cookie"], rng.randint(0, 2))
        extra += [f"+tls-sni={session.host}"] if rng.random() < 0.3 else []
        session.run("kdig", f"@{session.server}", "+tls", "+keepopen", "+retry=0", *extra, *questions)
        return
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(rng.choice(["DEFAULT", "ECDHE+AESGCM", "HIGH:!aNULL"]))
    if rng.random() < 0.4:
        context.set_alpn_protocols(["dot"])
    if rng.random() < 0.4:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    elif rng.random() < 0.4:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((session.server, 853), timeout=8) as plain,
        context.wrap_socket(plain, server_hostname=session.host if rng.random() < 0.7 else None) as wire,
    ):
        for _ in range(rng.randint(1, 10)):
            batch = rng.choice([1, 1, 1, 2, 2, 4])
            for _ in range(batch):
                dns.query.send_tcp(wire, _message(session, names))
            for _ in range(batch):
                dns.query.receive_tcp(wire)
            session.think(0.06)


def _resolve_https(session: Session) -> None:
    _, names = _zone(session.persona)
    rng = session.rng
    play = session.client("httpx", "kdig", "curl", "httpx")
    if play == "kdig":
        method = rng.choice(["+https", "+https-get"])
        questions = [part for _ in range(rng.randint(1, 4)) for part in _question(session, names)]
        extra = rng.sample(["+dnssec", "+padding", "+cookie", "+nopadding"], rng.randint(0, 2))
        session.run("kdig", f"@{session.server}", "+https", method, "+keepopen", "+retry=0", *extra, *questions)
    elif play == "curl":
        command = ["curl", "-sk", "--http2", "-m", "10", "-H", "accept: application/dns-message"]
        command += ["-A", session.words(1, 6)] if rng.random() < 0.5 else []
        for _ in range(rng.randint(1, 4)):
            command += ["-o", "/dev/null", f"https://{session.host}/dns-query?dns={_in_url(session, names)}"]
        session.run(*command)
    else:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with httpx.Client(http2=True, verify=context, timeout=8) as client:
            for _ in range(rng.randint(1, 8)):
                if rng.random() < 0.6:
                    headers = {"content-type": "application/dns-message", "accept": "application/dns-message"}
                    client.post(
                        f"https://{session.host}/dns-query", content=_message(session, names).to_wire(), headers=headers
                    )
                else:
                    client.get(f"https://{session.host}/dns-query?dns={_in_url(session, names)}")
                session.think(0.08)


def _in_url(session: Session, names: dict) -> str:
    return base64.urlsafe_b64encode(_message(session, names).to_wire()).rstrip(b"=").decode()


SERVICES = {
    "dns": Service(_start_plain, _resolve, ((17, 53, 53, "dns"), (6, 53, 53, "dns"))),
    "dot": Service(_start_encrypted, _resolve_tls, ((6, 853, 853, "dot"),)),
    "doh": Service(_start_encrypted, _resolve_https, ((6, 443, 443, "doh"),)),
}
