"""Messages: MQTT, WebSocket chat, IRC."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import aiohttp
import paho.mqtt.client as mqtt
import websocket
import websockets

from loopback.network import Lab
from loopback.site import PASSWORD, USER
from loopback.workload import Service, Session, name_of, text

__all__ = ["SERVICES"]


# -- MQTT --------------------------------------------------------------------------------------------------------------
def _start_mqtt(lab: Lab) -> None:
    rng = lab.persona.rng("mqtt")
    lines = [
        "listener 1883 0.0.0.0",
        f"allow_anonymous {'false' if lab.persona.index % 3 == 1 else 'true'}",
        "user root",
    ]
    lines += [
        f"max_inflight_messages {rng.choice([1, 5, 20])}",
        f"password_file {lab.folder}/passwords",
        "set_tcp_nodelay true",
    ]
    pairs = {**lab.persona.users, USER: PASSWORD}
    lab.run(
        "mosquitto_passwd", "-U", lab.write("passwords", "".join(f"{user}:{word}\n" for user, word in pairs.items()))
    )
    lab.spawn("mosquitto", "-c", lab.write("mosquitto.conf", "\n".join(lines) + "\n"))
    lab.wait_for(1883)
    identity = ["-u", USER, "-P", PASSWORD, "-h", "127.0.0.1", "-r"]
    for number in range(12):  # retained messages wait for whoever subscribes
        body = json.dumps({name_of(rng): rng.random() for _ in range(rng.randint(1, 20))})
        lab.run("mosquitto_pub", *identity, "-t", f"home/{number}/state", "-m", body)


def _reading(session: Session) -> str:
    rng = session.rng
    values = {
        name_of(rng, 1, 2): round(rng.gauss(20, 9), rng.randint(0, 5)) for _ in range(rng.choice([1, 1, 3, 8, 20]))
    }
    return rng.choice([json.dumps(values), str(next(iter(values.values()))), text(rng, session.size(150, 1.2, 8000))])


def _use_mqtt(session: Session) -> None:
    rng = session.rng
    user, password = session.log_in()
    secret = ["-u", user, "-P", password]
    entry = [
        "-h",
        session.server,
        "-i",
        f"{name_of(rng)}-{session.number}",
        "-V",
        rng.choice(["mqttv5", "mqttv311", "mqttv31"]),
    ]
    entry += secret if session.persona.index % 3 == 1 or rng.random() < 0.3 else []
    entry += ["-q", rng.randrange(3), "-k", rng.choice([5, 20, 60])]
    topic = f"{'/'.join(session.words(1, 5).split())}/{rng.randrange(99)}"
    play = session.client("paho", "pub", "sub", "paho", "lines")
    if play == "pub":
        session.run(
            "mosquitto_pub",
            *entry,
            "-t",
            topic,
            "-m",
            _reading(session),
            *rng.choice([[], ["-r"], ["--repeat", "3", "--repeat-delay", "0.2"]]),
        )
    elif play == "lines":
        session.run(
            "mosquitto_pub",
            *entry,
            "-t",
            topic,
            "-l",
            stdin="\n".join(_reading(session) for _ in range(rng.randint(2, 12))),
        )
    elif play == "sub":
        place = rng.choice(["home/+/state", f"home/{rng.randrange(12)}/state", "#", topic, "$SYS/broker/#"])
        session.run(
            "mosquitto_sub", *entry, "-t", place, "-W", rng.randint(1, 3), *rng.choice([[], ["-C", "2"], ["-R"]])
        )
    else:
        _use_paho(session, topic)


def _use_paho(session: Session, topic: str) -> None:
    """A device that publishes at its pace, and perhaps listens."""
    rng = session.rng
    version = rng.choice([mqtt.MQTTv311, mqtt.MQTTv5, mqtt.MQTTv31])
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"{name_of(rng)}{session.number}", protocol=version)
    if session.persona.index % 3 == 1:
        client.username_pw_set(*session.log_in())
    if rng.random() < 0.3:
        client.will_set(f"{topic}/gone", session.words(1, 9), qos=rng.randrange(2))
    client.connect(session.server, 1883, keepalive=rng.choice([3, 15, 60]))
    client.loop_start()
    time.sleep(0.3)
    if rng.random() < 0.5:
        client.subscribe([(rng.choice([topic, "home/#", f"home/{rng.randrange(12)}/+"]), rng.randrange(3))])
    for _ in range(rng.choice([1, 2, 4, 8, 14])):
        client.publish(topic, _reading(session), qos=rng.choice([0, 0, 1, 2]), retain=rng.random() < 0.1)
        session.think(0.15, 0.7)
    if rng.random() < 0.8:
        client.disconnect()
    client.loop_stop()


# -- WebSocket ---------------------------------------------------------------------------------------------------------
def _start_websocket(lab: Lab) -> None:
    lab.spawn_python("programs", "chat", lab.persona.seed, lab.persona.capture)
    lab.wait_for(8765)


def _chat(session: Session) -> None:
    play = session.client("websockets", "websocket-client", "aiohttp")
    kind = session.rng.choice(["chat", "chat", "ticker", "echo"])
    room = f"/{kind}/{name_of(session.rng, 1, 3)}?{session.words(1, 3).replace(' ', '&')}"
    link = f"ws://{session.host}:8765{room}"
    if play == "websocket-client":
        header = [f"X-{name_of(session.rng)}: {session.words(1, 12)}" for _ in range(session.rng.randint(0, 4))]
        wire = websocket.create_connection(link, timeout=3, header=header)
        for line in _lines(session):
            wire.send(line)
            if session.chance(0.6):
                wire.recv()
            session.think(0.2)
            if session.chance(0.1):
                wire.ping(session.words(1, 3))
        wire.close()
    else:
        talk = _talk_websockets if play == "websockets" else _talk_aiohttp
        asyncio.run(asyncio.wait_for(talk(session, link), 20))


def _lines(session: Session) -> list[str]:
    """What one user says: greetings, sentences, long pastes, JSON events."""
    rng = session.rng
    said = []
    for _ in range(rng.choice([1, 2, 4, 7, 12])):
        kind = rng.random()
        if kind < 0.5:
            said.append(session.words(1, 18))
        elif kind < 0.85:
            said.append(
                json.dumps(
                    {"type": name_of(rng), "room": name_of(rng), "body": session.words(1, 40), "at": rng.random()}
                )
            )
        else:
            said.append(text(rng, session.size(1200, 1.0, 20_000)))
    return said


async def _talk_websockets(session: Session, link: str) -> None:
    compression = session.rng.choice(["deflate", None])
    agent = session.words(1, 8)
    async with websockets.connect(link, compression=compression, ping_interval=1, user_agent_header=agent) as wire:
        reader = asyncio.create_task(_swallow(wire))
        for line in _lines(session):
            await wire.send(line if session.chance(0.8) else line.encode())
            await asyncio.sleep(min(session.rng.expovariate(4), 1.5))
        reader.cancel()


async def _swallow(wire) -> None:
    async for _ in wire:
        pass


async def _talk_aiohttp(session: Session, link: str) -> None:
    headers = {
        "Origin": f"http://{session.host}",
        "Cookie": f"id={session.rng.getrandbits(session.rng.choice([32, 256])):x}",
    }
    async with (
        aiohttp.ClientSession(headers=headers) as browser,
        browser.ws_connect(
            link, compress=session.rng.choice([0, 15]), heartbeat=session.rng.choice([None, 0.7])
        ) as wire,
    ):
        reader = asyncio.create_task(_swallow(wire))
        for line in _lines(session):
            await wire.send_str(line)
            await asyncio.sleep(min(session.rng.expovariate(4), 1.5))
        reader.cancel()


# -- IRC ---------------------------------------------------------------------------------------------------------------
def _start_irc(lab: Lab) -> None:
    rng = lab.persona.rng("irc")
    motto = "\n".join(text(rng, rng.randint(10, 75)) for _ in range(rng.choice([0, 2, 8, 25])))
    lines = [
        "[Global]",
        f"Name = {name_of(rng)}.{name_of(rng)}.test",
        f"Info = {text(rng, 30)}",
        f"MotdFile = {lab.write('motd', motto + chr(10))}",
        "ServerUID = 65534",
        "ServerGID = 65534",
        "[Limits]",
        "MaxConnectionsIP = 0",
        "MaxPenaltyTime = 0",
        "[Options]",
        "PAM = no",
        "DNS = no",
        "Ident = no",
        f"MorePrivacy = {lab.persona.cycle('no', 'yes')}",
    ]
    for number in range(rng.randint(1, 9)):
        lines += ["[Channel]", f"Name = #room{number}", f"Topic = {text(rng, rng.randint(5, 200))}"]
    lab.spawn("ngircd", "-n", "-f", lab.write("ngircd.conf", "\n".join(lines) + "\n"))
    lab.wait_for(6667)


def _use_irc(session: Session) -> None:
    """A person, a bot or a lurker; what others say in the same room comes in between."""
    rng = session.rng
    nick = f"{name_of(rng, 1, 2)}{session.number}"[:9]
    rooms = [f"#room{rng.randrange(4)}" for _ in range(rng.choice([1, 1, 2, 3]))]
    with socket.create_connection((session.server, 6667), timeout=4) as wire:

        def say(line: str, pause: float = 0.1) -> None:
            wire.sendall(f"{line}\r\n".encode())
            session.think(pause, 0.8)
            wire.settimeout(0.05)
            try:
                while b"PING" in (heard := wire.recv(65536)):
                    wire.sendall(heard[heard.index(b"PING") :].split(b"\r\n")[0].replace(b"PING", b"PONG") + b"\r\n")
            except TimeoutError:
                return

        if rng.random() < 0.4:
            say("CAP LS 302", 0.02)
            say("CAP END", 0.02)
        say(
            f"NICK {nick}\r\nUSER {name_of(rng)} 0 * :{session.words(1, 6)}" if rng.random() < 0.6 else f"NICK {nick}",
            0.2,
        )
        say(f"USER {name_of(rng)} 0 * :{session.words(1, 6)}")
        for room in rooms:
            say(f"JOIN {room}")
        for _ in range(rng.choice([0, 1, 3, 6, 12])):
            room = rng.choice(rooms)
            say(
                rng.choice(
                    [f"PRIVMSG {room} :{session.words(1, 30)}"] * 5
                    + [
                        f"PRIVMSG {name_of(rng, 1, 2)} :{session.words(1, 9)}",
                        f"WHO {room}",
                        f"NAMES {room}",
                        "LIST",
                        f"WHOIS {nick}",
                    ]
                    + [
                        f"TOPIC {room} :{session.words(1, 12)}",
                        "LUSERS",
                        "MOTD",
                        f"NICK {name_of(rng)[:8]}",
                        f"PART {room}",
                        "VERSION",
                    ]
                )
            )
        if rng.random() < 0.8:
            say(f"QUIT :{session.words(1, 9)}", 0.02)


SERVICES = {
    "mqtt": Service(_start_mqtt, _use_mqtt, ((6, 1883, 1883, "mqtt"),)),
    "websocket": Service(_start_websocket, _chat, ((6, 8765, 8765, "websocket"),)),
    "irc": Service(_start_irc, _use_irc, ((6, 6667, 6667, "irc"),)),
}
