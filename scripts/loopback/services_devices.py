"""Machines among themselves: time, management, sensors."""

from __future__ import annotations

import asyncio
import socket
import struct

import aiocoap
import ntplib

from loopback.certificates import make_chains
from loopback.network import Lab
from loopback.site import PASSWORD, USER
from loopback.workload import Service, Session, name_of, text

__all__ = ["SERVICES"]


# -- NTP ------------------------------------------------------------------------------------------------------------
def _start_ntp(lab: Lab) -> None:
    """chrony as a server; -x: it never touches the machine's clock."""
    rng = lab.persona.rng("ntp")
    lab.write(
        "keys", "1 SHA1 HEX:0102030405060708090A0B0C0D0E0F1011121314\n2 MD5 loopback\n3 SHA512 HEX:" + "AB" * 64 + "\n"
    ).chmod(0o600)
    lines = [
        f"local stratum {rng.randint(1, 9)}",
        "allow",
        "cmdport 0",
        "bindcmdaddress /",
        f"keyfile {lab.folder}/keys",
        f"pidfile {lab.folder}/chrony.pid",
    ]
    chain, key = make_chains(lab.persona, lab.folder)
    lines += [f"ntsservercert {chain}", f"ntsserverkey {key}", f"ntsdumpdir {lab.folder}"]
    lab.spawn("chronyd", "-x", "-d", "-u", "root", "-f", lab.write("chrony.conf", "\n".join(lines) + "\n"))
    lab.wait_for(123, udp=True)


def _ask_time(session: Session) -> None:
    rng = session.rng
    play = session.client("chrony", "poll", "chrony", "ntplib", "poll", "ntpdig")
    if play == "ntpdig":
        session.run("ntpdig", *rng.choice([[], ["-t", "2"], ["-p", str(rng.randint(2, 6))]]), session.server)
    elif play == "chrony":
        words = rng.choice(
            [
                ["iburst"],
                [f"key {rng.randint(1, 3)}", "iburst"],
                ["xleave", "iburst"],
                ["burst"],
                ["version 3"],
                ["nts", "iburst"],
                ["nts", "iburst"],
            ]
        )
        host = session.persona.hosts[0] if "nts" in words else session.server
        server = (
            f"server {host} {' '.join(words)} minpoll -{rng.randint(0, 4)} maxpoll 0 maxsamples {rng.randint(2, 8)}"
        )
        rules = session.folder / f"query-{session.number}.conf"
        lines = [
            server,
            f"keyfile {session.folder}/keys",
            f"pidfile {rules}.pid",
            "cmdport 0",
            "bindcmdaddress /",
            "nosystemcert",
            f"ntstrustedcerts {session.folder}/chain-0.pem",
        ]
        if rng.random() < 0.6:  # one port for all polls, and so one flow
            lines.append(f"acquisitionport {30_000 + session.number}")
        rules.write_text("\n".join(lines) + "\n", encoding="utf-8")
        session.run("chronyd", "-Q", "-x", "-u", "root", "-t", rng.randint(2, 6), "-f", rules)
    elif play == "ntplib":
        client = ntplib.NTPClient()
        for _ in range(rng.choice([1, 1, 2])):
            client.request(session.server, version=rng.choice([2, 3, 4]), timeout=3)
            session.think(0.3)
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
            port.settimeout(2)
            port.connect((session.server, 123))
            for _ in range(rng.randint(1, 10)):
                port.send(struct.pack(">B39xQ", rng.choice([0x1B, 0x23, 0xE3]), rng.getrandbits(63)))
                port.recv(1024)
                session.think(0.2)


# -- SNMP -----------------------------------------------------------------------------------------------------------
_TREES = (
    "1.3.6.1.2.1.1",
    "1.3.6.1.2.1.2.2",
    "1.3.6.1.2.1.4",
    "1.3.6.1.2.1.6",
    "1.3.6.1.2.1.25.1",
    "1.3.6.1.2.1.31",
    "1.3.6.1.4.1.2021",
)


def _start_snmp(lab: Lab) -> None:
    rng = lab.persona.rng("snmp")
    community = name_of(rng, 2, 6)
    lines = [
        f"rocommunity {community}",
        f"rwcommunity {PASSWORD}",
        f"createUser {USER} SHA {PASSWORD}1 AES {PASSWORD}2",
        f"rouser {USER}",
        "agentaddress udp:0.0.0.0:161",
        f"sysLocation {text(rng, rng.randint(5, 200))}",
        f"sysContact {text(rng, rng.randint(5, 100))}",
        f"sysName {name_of(rng, 2, 12)}",
        *(f"extend {name_of(rng)} /bin/echo {text(rng, rng.randint(5, 150))}" for _ in range(rng.randint(0, 8))),
    ]
    lab.write("community", community)
    configuration = lab.write("snmpd.conf", "\n".join(lines) + "\n")
    lab.spawn(
        "snmpd",
        "-f",
        "-Lo",
        "-C",
        "-c",
        configuration,
        "-p",
        lab.folder / "snmpd.pid",
        SNMP_PERSISTENT_DIR=str(lab.folder),
    )
    lab.wait_for(161, udp=True)


def _manage(session: Session) -> None:
    rng = session.rng
    community = (session.folder / "community").read_text(encoding="utf-8") if rng.random() < 0.93 else name_of(rng)
    secure = ["-v3", "-u", USER, "-a", "SHA", "-A", f"{PASSWORD}1", "-x", "AES", "-X", f"{PASSWORD}2"]
    level = rng.choice(["authPriv", "authPriv", "authNoPriv"])
    style = session.client("v2", "v3", "v1", "v2")
    entry = {"v1": ["-v1", "-c", community], "v2": ["-v2c", "-c", community], "v3": [*secure, "-l", level]}[style]
    entry += ["-m", "", "-r", "0", "-t", "2", session.server]
    leaves = [f"1.3.6.1.2.1.1.{rng.randint(1, 8)}.0" for _ in range(rng.randint(1, 6))]
    leaves += [f"1.3.6.1.2.1.2.2.1.{rng.randint(1, 20)}.{rng.randint(1, 2)}" for _ in range(rng.randint(0, 9))]
    tree = rng.choice(_TREES)
    play = session.client("get", "walk", "bulkwalk", "next", "bulkget", "set", "get")
    if style == "v1" and play.startswith("bulk"):
        play = "next"
    if play == "get":
        session.run("snmpget", *entry, *leaves)
    elif play == "next":
        session.run("snmpgetnext", *entry, *(rng.choice(_TREES) for _ in range(rng.randint(1, 6))))
    elif play == "walk":
        session.run("snmpwalk", *entry[:-1], "-CE", f"{tree}.{rng.randint(2, 8)}", entry[-1], tree, timeout=4)
    elif play == "bulkwalk":
        session.run("snmpbulkwalk", f"-Cr{rng.randint(3, 40)}", *entry, tree)
    elif play == "bulkget":
        session.run("snmpbulkget", f"-Cn{rng.randint(0, 2)}", f"-Cr{rng.randint(2, 30)}", *entry, *leaves[:2], tree)
    else:
        place = "1.3.6.1.2.1.1." + rng.choice(["4.0", "5.0", "6.0"])
        session.run("snmpset", "-v2c", "-c", PASSWORD, *entry[-6:], place, "s", text(rng, rng.randint(3, 120)))


# -- CoAP -----------------------------------------------------------------------------------------------------------
def _start_coap(lab: Lab) -> None:
    lab.spawn_python("programs", "coap", lab.persona.seed, lab.persona.capture)
    lab.wait_for(5683, udp=True)


def _use_coap(session: Session) -> None:
    rng = session.rng
    places = [".well-known/core", "temperature", "temperature", "large", "slow", name_of(rng)]
    link = f"coap://{session.server}/{rng.choice(places)}"
    if rng.random() < 0.4:
        link += "?" + "&".join(session.words(1, 5).split())
    if session.client("aiocoap", "coap-client", "aiocoap") == "coap-client":
        body = rng.choice(
            [
                [],
                [],
                ["-m", rng.choice(["put", "post"]), "-e", text(rng, session.size(60, 1.2, 4000))],
                ["-N"],
                ["-s", "2"],
            ]
        )
        extra = rng.choice(
            [[], ["-b", rng.choice([64, 256, 1024])], ["-T", name_of(rng)[:7]], ["-A", "application/json"]]
        )
        session.run("coap-client-notls", "-B", "3", "-v", "0", *body, *extra, link)
    else:
        asyncio.run(asyncio.wait_for(_use_aiocoap(session, link), 12))


async def _use_aiocoap(session: Session, link: str) -> None:
    """A controller: reads, writes and watches through one port."""
    rng = session.rng
    context = await aiocoap.Context.create_client_context()
    try:
        for _ in range(rng.choice([1, 2, 3, 6])):
            code = rng.choice([aiocoap.GET, aiocoap.GET, aiocoap.PUT, aiocoap.POST, aiocoap.DELETE])
            body = text(rng, session.size(80, 1.3, 5000)).encode() if code in (aiocoap.PUT, aiocoap.POST) else b""
            kind = rng.choice([aiocoap.CON, aiocoap.CON, aiocoap.NON])
            message = aiocoap.Message(
                code=code,
                uri=link,
                payload=body,
                transport_tuning=aiocoap.Reliable if kind is aiocoap.CON else aiocoap.Unreliable,
            )
            if code is aiocoap.GET and "temperature" in link and rng.random() < 0.5:
                message.opt.observe = 0
                request = context.request(message)
                await request.response
                await asyncio.sleep(rng.uniform(0.2, 1.5))
                request.observation.cancel()
            else:
                await asyncio.wait_for(context.request(message).response, 5)
            await asyncio.sleep(min(rng.expovariate(8), 1))
    finally:
        await context.shutdown()


SERVICES = {
    "ntp": Service(_start_ntp, _ask_time, ((17, 123, 123, "ntp"),)),
    "snmp": Service(_start_snmp, _manage, ((17, 161, 161, "snmp"),)),
    "coap": Service(_start_coap, _use_coap, ((17, 5683, 5683, "coap"),)),
}
