"""Key-value stores: Redis and memcached."""

from __future__ import annotations

import socket
from contextlib import closing

import redis
from pymemcache.client.base import Client as Memcache

from loopback.network import Lab
from loopback.site import PASSWORD
from loopback.workload import Service, Session, lognormal, name_of, text

__all__ = ["SERVICES"]


# -- Redis -------------------------------------------------------------------------------------------------------------
def _start_redis(lab: Lab) -> None:
    rng = lab.persona.rng("redis")
    options = ["--bind", "0.0.0.0", "--port", 6379, "--protected-mode", "no", "--save", "", "--dir", lab.folder]
    lab.spawn("redis-server", *options, *(["--requirepass", PASSWORD] if lab.persona.index % 3 == 1 else []))
    lab.wait_for(6379)
    entry = ["redis-cli", *(["-a", PASSWORD] if lab.persona.index % 3 == 1 else [])]
    lines = [f"ACL SETUSER {user} on >{word} ~* &* +@all" for user, word in lab.persona.users.items()]
    lines += [f"SET key:{n} {text(rng, lognormal(rng, 300, 1.4, 1, 20_000)).replace(' ', '_')}" for n in range(200)]
    lines += [f"RPUSH list:{n} {text(rng, rng.randint(10, 900))}" for n in range(40)]
    lines += [
        f"HSET hash:{n} {' '.join(f'{name_of(rng)} {name_of(rng)}' for _ in range(rng.randint(1, 40)))}"
        for n in range(40)
    ]
    lines += [
        f"ZADD rank:{n} {' '.join(f'{rng.random():.5f} {name_of(rng)}' for _ in range(rng.randint(1, 60)))}"
        for n in range(40)
    ]
    lab.run(*entry, stdin="\n".join(lines) + "\n")


def _redis_command(session: Session) -> list[str]:
    rng = session.rng
    n = rng.randrange(40)
    return rng.choice(
        [
            ["GET", f"key:{rng.randrange(260)}"],
            ["SET", f"{name_of(rng)}:{rng.randrange(9999)}", text(rng, session.size(200, 1.4, 30_000)), "EX", "90"],
            ["MGET", *(f"key:{rng.randrange(220)}" for _ in range(rng.randint(1, 9)))],
            ["INCRBY", f"count:{n}", str(rng.randrange(9999))],
            ["LRANGE", f"list:{n}", "0", str(rng.randrange(60))],
            ["LPUSH", f"list:{n}", *session.words(1, 12).split()],
            ["HGETALL", f"hash:{n}"],
            ["HSET", f"hash:{n}", name_of(rng), session.words(1, 9)],
            ["ZRANGE", f"rank:{n}", "0", str(rng.randrange(60)), "WITHSCORES"],
            ["SCAN", "0", "COUNT", str(rng.randint(5, 200))],
            ["INFO", rng.choice(["server", "memory", "all", "stats"])],
            ["EVAL", f"return redis.call('GET', 'key:{n}')", "0"],
            ["GETT", "wrong"],
            ["PING"],
            ["DEL", f"key:{rng.randrange(200)}"],
        ]
    )


def _use_redis(session: Session) -> None:
    rng = session.rng
    user, secret = None, PASSWORD if session.persona.index % 3 == 1 and rng.random() < 0.93 else None
    if rng.random() < 0.5:
        user, secret = session.log_in()
    play = session.client("redis-py", "redis-cli", "pipeline", "subscribe", "raw", "benchmark")
    if play == "redis-cli":
        entry = [
            "redis-cli",
            "-h",
            session.server,
            *_redis_log_in(user, secret),
            *rng.choice([[], ["-3"], ["-n", "2"]]),
        ]
        if rng.random() < 0.4:
            session.run(*entry, *_redis_command(session))
        else:
            lines = "\n".join(" ".join(_redis_command(session)[:2]) for _ in range(rng.randint(1, 15)))
            session.run(*entry, *rng.choice([[], [], ["--csv"]]), stdin=f"{lines}\n")
    elif play == "benchmark":
        shape = ["-c", "1", "-n", rng.randint(3, 30), "-d", session.size(60, 1.3, 4000), "-P", rng.choice([1, 1, 4])]
        test = rng.choice(["set", "get", "incr", "lpush", "hset", "mset"])
        session.run("redis-benchmark", "-h", session.server, *_redis_log_in(user, secret), *shape, "-q", "-t", test)
    elif play == "raw":
        with socket.create_connection((session.server, 6379), timeout=5) as wire:
            if secret:
                wire.sendall(f"AUTH {user or ''} {secret}\r\n".encode())
                wire.recv(4096)
            for _ in range(rng.randint(1, 10)):
                wire.sendall(" ".join(_redis_command(session)[:2]).encode() + b"\r\n")
                wire.recv(65536)
                session.think(0.05)
    else:
        _use_redis_py(session, play, user, secret)


def _redis_log_in(user: str | None, secret: str | None) -> list[str]:
    named = ["--user", user] if user else []
    return [*named, "-a", secret] if secret else named


def _use_redis_py(session: Session, play: str, user: str | None, secret: str | None) -> None:
    rng = session.rng
    settings = {
        "username": user,
        "password": secret,
        "lib_name": name_of(rng, 1, 8),
        "protocol": rng.choice([2, 3]),
        "db": rng.choice([0, 0, 3]),
        "socket_timeout": 5,
    }
    if rng.random() < 0.4:
        settings |= {"client_name": name_of(rng)}
    client = redis.Redis(session.server, retry=None, **settings)
    with client:
        if play == "subscribe":
            channel, listener = name_of(rng), client.pubsub()
            listener.subscribe(channel, *session.words(1, 3).split())
            for _ in range(rng.randint(1, 8)):
                client.publish(channel, text(rng, session.size(120, 1.2, 5000)))
                listener.get_message(timeout=0.2)
                session.think(0.08)
            listener.close()
        elif play == "pipeline":
            for _ in range(rng.randint(1, 4)):
                with client.pipeline(transaction=rng.random() < 0.5) as batch:
                    for _ in range(rng.randint(2, 25)):
                        batch.execute_command(*_redis_command(session))
                    batch.execute(raise_on_error=False)
                session.think(0.1)
        else:
            for _ in range(rng.randint(1, 14)):
                wish = _redis_command(session)
                client.execute_command(*(wish if wish[0] != "GETT" else ["TYPE", "key:1"]))
                session.think(0.05)


# -- memcached ---------------------------------------------------------------------------------------------------------
def _start_memcached(lab: Lab) -> None:
    lab.spawn("memcached", "-u", "root", "-p", 11211, "-m", 32, "-t", 1)
    lab.wait_for(11211)
    rng = lab.persona.rng("memcached")
    lines = []
    for number in range(200):
        value = text(rng, lognormal(rng, 400, 1.4, 1, 30_000))
        lines.append(f"set key{number} 0 0 {len(value)} noreply\r\n{value}\r\n")
    lab.run("nc", "-N", "-w", "1", "127.0.0.1", "11211", stdin="".join(lines) + "quit\r\n")


def _use_memcached(session: Session) -> None:
    rng = session.rng
    play = session.client("pymemcache", "tools", "raw", "pymemcache")
    keys = [f"key{rng.randrange(230)}" for _ in range(rng.randint(1, 8))]
    if play == "tools":
        entry = ["--servers", session.server, *rng.choice([[], ["--binary"]])]
        body = session.folder / name_of(rng, 3, 6)
        body.write_bytes(rng.randbytes(session.size(700, 1.4, 60_000)))
        wish = rng.choice(
            [
                ["memccat", *entry, *keys],
                ["memccp", *entry, body],
                ["memcexist", *entry, keys[0]],
                ["memcrm", *entry, *keys],
                ["memcstat", *entry],
                ["memctouch", *entry, "--expire=60", keys[0]],
                ["memcping", *entry],
                ["memcdump", *entry],
            ]
        )
        session.run(*wish)
    elif play == "raw":
        with socket.create_connection((session.server, 11211), timeout=5) as wire:
            for _ in range(rng.randint(1, 8)):
                wish = rng.choice(
                    [
                        f"get {' '.join(keys)}",
                        f"gets {keys[0]}",
                        "version",
                        f"incr n{rng.randrange(9)} 4",
                        "stats",
                        f"mg {keys[0]} v t f",
                        "stats slabs",
                        f"delete {keys[0]}",
                        name_of(rng),
                    ]
                )
                wire.sendall(wish.encode() + b"\r\n")
                wire.recv(65536)
                session.think(0.06)
    else:
        with closing(
            Memcache((session.server, 11211), timeout=5, connect_timeout=5, no_delay=rng.random() < 0.5)
        ) as client:
            for _ in range(rng.randint(1, 14)):
                step = rng.choice(["get", "get", "many", "set", "set_many", "incr", "delete", "append", "gets"])
                if step == "many":
                    client.get_many([f"key{rng.randrange(230)}" for _ in range(rng.randint(2, 30))])
                elif step == "set":
                    client.set(
                        name_of(rng, 2, 9), rng.randbytes(session.size(300, 1.4, 40_000)), noreply=rng.random() < 0.3
                    )
                elif step == "set_many":
                    client.set_many(
                        {name_of(rng): session.words(1, 40) for _ in range(rng.randint(2, 8))}, noreply=False
                    )
                elif step == "incr":
                    client.set("n", str(rng.randrange(99)), noreply=False)
                    client.incr("n", rng.randrange(9))
                elif step == "append":
                    client.append(f"key{rng.randrange(200)}", session.words(1, 20), noreply=False)
                else:
                    getattr(client, step)(f"key{rng.randrange(230)}")
                session.think(0.05)


SERVICES = {
    "redis": Service(_start_redis, _use_redis, ((6, 6379, 6379, "redis"),)),
    "memcached": Service(_start_memcached, _use_memcached, ((6, 11211, 11211, "memcached"),)),
}
