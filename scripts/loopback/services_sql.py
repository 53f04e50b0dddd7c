"""Relational data bases: PostgreSQL and MariaDB."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import asyncpg
import pg8000.dbapi
import psycopg
import pymysql

from loopback.certificates import make_chains
from loopback.network import Lab
from loopback.workload import Service, Session, lognormal, name_of, text

__all__ = ["SERVICES"]


def _table(rng: random.Random) -> list[str]:
    """Statements that make and fill two tables."""
    rows = [(n, name_of(rng), text(rng, lognormal(rng, 80, 1.0, 1, 2000)), rng.randrange(10_000)) for n in range(400)]
    people = ", ".join(f"({n}, '{name}', '{note}', {score})" for n, name, note, score in rows)
    orders = ", ".join(f"({n}, {rng.randrange(400)}, {rng.random() * 900:.2f})" for n in range(1500))
    return [
        "CREATE TABLE people (id int PRIMARY KEY, name varchar(80), note text, score int);",
        "CREATE TABLE orders (id int PRIMARY KEY, person int, amount numeric(9, 2));",
        f"INSERT INTO people VALUES {people};",
        f"INSERT INTO orders VALUES {orders};",
    ]


def _statement(session: Session) -> str:
    rng = session.rng
    n = rng.randrange(400)
    several = ", ".join(str(rng.randrange(400)) for _ in range(rng.randint(1, 40)))
    return rng.choice(
        [
            f"SELECT * FROM people WHERE id = {n}",
            f"SELECT id, name FROM people WHERE score > {rng.randrange(10_000)} "
            f"ORDER BY score LIMIT {rng.randint(1, 120)}",
            f"SELECT p.name, sum(o.amount) FROM people p JOIN orders o ON o.person = p.id "
            f"GROUP BY p.name ORDER BY 2 DESC LIMIT {rng.randint(1, 60)}",
            f"SELECT count(*), avg(score) FROM people WHERE name LIKE '%{name_of(rng, 1, 1)}%'",
            f"UPDATE people SET note = '{text(rng, session.size(120, 1.2, 6000))}' WHERE id = {n}",
            f"INSERT INTO orders VALUES ({rng.randrange(10_000, 2**31)}, {n}, {rng.random() * 90:.2f})",
            f"SELECT note FROM people WHERE id IN ({several})",
            f"SELECT * FROM {name_of(rng)}",
            "SELECT version()",
            "SELECT 1",
            f"DELETE FROM orders WHERE id = {rng.randrange(1500)}",
        ]
    )


def _start_postgresql(lab: Lab) -> None:
    chain, key = make_chains(lab.persona, lab.folder)
    data, binaries = lab.folder / "data", "/usr/lib/postgresql/15/bin"
    data.mkdir()
    lab.run("chown", "-R", "postgres:postgres", data, chain, key)
    lab.run("chmod", "600", key)
    method = lab.persona.cycle("scram-sha-256", "md5", "trust", "password")
    stored = "md5" if method == "md5" else "scram-sha-256"
    lab.run(
        f"{binaries}/initdb",
        "-D",
        data,
        "-N",
        "-A",
        "trust",
        "-U",
        "postgres",
        "--no-locale",
        "-E",
        "UTF8",
        user="postgres",
    )
    with (data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write(f"host all all 10.77.0.0/24 {method}\n")
    settings = [f"password_encryption={stored}", "fsync=off", "listen_addresses=*", f"unix_socket_directories={data}"]
    settings += [
        f"ssl={lab.persona.cycle('on', 'off')}",
        f"ssl_cert_file={chain}",
        f"ssl_key_file={key}",
        "shared_buffers=16MB",
    ]
    settings += ["max_connections=40", "autovacuum=off", "logging_collector=off"]
    lab.spawn(
        f"{binaries}/postgres", "-D", data, *(part for line in settings for part in ("-c", line)), user="postgres"
    )
    lab.wait_for(5432)
    users = lab.persona.users.items()
    lines = [f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD '{word}';" for user, word in users]
    lines += [*_table(lab.persona.rng("table"))]
    lab.run("psql", "-q", "-h", data, "-U", "postgres", stdin="\n".join(lines), user="postgres")


def _use_postgresql(session: Session) -> None:
    rng = session.rng
    user, password = session.log_in()
    mode = rng.choice(["disable", "prefer", "prefer", "allow"])
    play = session.client("psycopg", "psql", "asyncpg", "pg8000", "pgbench", "copy")
    link = f"host={session.server} user={user} password='{password}' dbname=postgres sslmode={mode}"
    link += f" application_name={name_of(rng, 1, 9)}"
    if play == "psql":
        lines = "; ".join(_statement(session) for _ in range(rng.randint(1, 6)))
        wish = rng.choice(
            [["-c", f"{lines};"], ["-c", r"\d"], ["-c", r"\d people"], ["-l"], ["-At", "-c", _statement(session)]]
        )
        session.run("psql", "-X", link, *wish)
    elif play == "pgbench":
        script = session.folder / f"bench-{session.number}.sql"
        script.write_text(
            ";\n".join(f"SELECT id, score FROM people WHERE id < {rng.randrange(90)}" for _ in range(2)) + ";\n",
            encoding="utf-8",
        )
        shape = ["-t", rng.randint(1, 8), "-M", rng.choice(["simple", "extended", "prepared"])]
        session.run("/usr/lib/postgresql/15/bin/pgbench", "-n", *shape, "-f", script, link)
    elif play == "asyncpg":
        asyncio.run(asyncio.wait_for(_use_asyncpg(session, user, password), 15))
    elif play == "pg8000":
        with pg8000.dbapi.connect(
            user=user, host=session.server, password=password, database="postgres", timeout=10
        ) as wire:
            cursor = wire.cursor()
            for _ in range(rng.randint(1, 6)):
                cursor.execute(
                    "SELECT * FROM people WHERE score < %s LIMIT %s", (rng.randrange(10_000), rng.randint(1, 40))
                )
                cursor.fetchall()
                session.think(0.08)
    else:
        with psycopg.connect(link, connect_timeout=10, autocommit=True) as wire:
            if play == "copy":
                with wire.cursor().copy(
                    "COPY people TO STDOUT" if rng.random() < 0.5 else "COPY (SELECT * FROM orders LIMIT 200) TO STDOUT"
                ) as rows:
                    for _ in rows:
                        pass
            for _ in range(rng.randint(1, 8)):
                with suppress(psycopg.ProgrammingError, psycopg.OperationalError):  # wrong questions are asked too
                    wire.execute(_statement(session))
                session.think(0.08)


async def _use_asyncpg(session: Session, user: str, password: str) -> None:
    rng = session.rng
    ssl_mode = "disable" if rng.random() < 0.6 else "prefer"
    wire = await asyncpg.connect(
        host=session.server, user=user, password=password, database="postgres", ssl=ssl_mode, timeout=10
    )
    try:
        for _ in range(rng.randint(1, 6)):
            if rng.random() < 0.5:
                await wire.fetch(
                    "SELECT name, note FROM people WHERE id = ANY($1::int[])",
                    rng.sample(range(400), rng.randint(1, 30)),
                )
            else:
                await wire.fetch(_statement(session))
            await asyncio.sleep(min(rng.expovariate(10), 1))
    finally:
        await wire.close()


def _start_mysql(lab: Lab) -> None:
    data = lab.folder / "data"
    socket_path = f"--socket={data}/s"
    lab.run(
        "mariadb-install-db",
        "--no-defaults",
        "--user=root",
        f"--datadir={data}",
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
    )
    shape = [
        "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=0",
        "--skip-name-resolve",
        "--bind-address=0.0.0.0",
    ]
    lab.spawn("mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", socket_path, "--port=3306", *shape)
    lab.wait_for(3306)
    rng = lab.persona.rng("table")
    users = ["CREATE DATABASE shop; USE shop;"]
    for user, word in lab.persona.users.items():
        users += [f"CREATE USER {user}@'%' IDENTIFIED BY '{word}'; GRANT ALL ON *.* TO {user}@'%';"]
    lab.run("mariadb", "--no-defaults", socket_path, "-u", "root", stdin="\n".join(users + _table(rng)))


def _use_mysql(session: Session) -> None:
    rng = session.rng
    user, password = session.log_in()
    play = session.client("pymysql", "mariadb", "dump", "slap", "admin")
    entry = ["--no-defaults", "-h", session.server, "-u", user, f"-p{password}", *rng.choice([[], [], ["--compress"]])]
    if play == "mariadb":
        lines = "; ".join(_statement(session) for _ in range(rng.randint(1, 6)))
        extra = rng.choice([["-A"], [], ["--quick"], ["-f"]])
        session.run(
            "mariadb",
            *entry,
            *extra,
            "shop",
            "-e",
            rng.choice([lines, lines, "SHOW TABLES; SHOW CREATE TABLE people", "SHOW STATUS"]),
        )
    elif play == "dump":
        where = ["--where", f"id < {rng.randint(2, 300)}"] if rng.random() < 0.7 else ["--no-data"]
        session.run("mariadb-dump", *entry, *where, "shop", rng.choice(["people", "orders"]))
    elif play == "slap":
        session.run(
            "mariadb-slap",
            *entry,
            "--create-schema=shop",
            f"--query={_statement(session)}",
            f"--iterations={rng.randint(1, 6)}",
        )
    elif play == "admin":
        session.run(
            "mariadb-admin",
            *entry,
            rng.choice(["ping", "status", "processlist", "variables", "extended-status", "version"]),
        )
    else:
        with (
            pymysql.connect(
                host=session.server,
                user=user,
                password=password,
                database="shop",
                connect_timeout=10,
                program_name=name_of(rng, 1, 9),
            ) as wire,
            wire.cursor() as cursor,
        ):
            for _ in range(rng.randint(1, 10)):
                with suppress(pymysql.ProgrammingError, pymysql.IntegrityError):  # wrong questions are asked too
                    cursor.execute(_statement(session))
                    cursor.fetchall()
                session.think(0.08)
                if rng.random() < 0.2:
                    wire.commit() if rng.random() < 0.7 else wire.ping()


SERVICES = {
    "postgresql": Service(_start_postgresql, _use_postgresql, ((6, 5432, 5432, "postgresql"),), workers=2),
    "mysql": Service(_start_mysql, _use_mysql, ((6, 3306, 3306, "mysql"),), workers=2),
}
