"""Directories: LDAP."""

from __future__ import annotations

import ldap3

from loopback.certificates import make_chains
from loopback.network import Lab
from loopback.site import PASSWORD
from loopback.workload import Service, Session, lognormal, name_of, text

__all__ = ["SERVICES"]


def _start_ldap(lab: Lab) -> None:
    chain, key = make_chains(lab.persona, lab.folder)
    rng = lab.persona.rng("ldap")
    base = f"dc={name_of(rng)},dc=test"
    lines = [
        *(f"include /etc/ldap/schema/{name}.schema" for name in ("core", "cosine", "inetorgperson")),
        "modulepath /usr/lib/ldap",
        "moduleload back_mdb",
        f"pidfile {lab.folder}/slapd.pid",
        f"TLSCertificateFile {chain}",
        f"TLSCertificateKeyFile {key}",
        "database mdb",
        f'suffix "{base}"',
        f'rootdn "cn=admin,{base}"',
        f"rootpw {PASSWORD}",
        f"directory {lab.folder}/base",
        f"sizelimit {rng.choice([20, 100, 500])}",
    ]
    (lab.folder / "base").mkdir()
    entries = [f"dn: {base}\nobjectClass: dcObject\nobjectClass: organization\no: {name_of(rng)}\ndc: {base[3:-8]}\n"]
    for number in range(150):
        entry = f"dn: uid=u{number},{base}\nobjectClass: inetOrgPerson\nuid: u{number}\nuserPassword: {PASSWORD}\n"
        entry += f"cn: {name_of(rng)} {name_of(rng)}\nsn: {name_of(rng)}\n"
        for kind in rng.sample(
            ["mail", "title", "description", "telephoneNumber", "roomNumber", "street", "l"], rng.randint(0, 6)
        ):
            value = (
                str(rng.getrandbits(30)) if kind == "telephoneNumber" else text(rng, lognormal(rng, 20, 0.9, 3, 400))
            )
            entry += (
                f"{kind}: {value.strip() or 'x'}\n" if kind != "mail" else f"mail: {name_of(rng)}@{name_of(rng)}.test\n"
            )
        entries.append(entry)
    configuration = lab.write("slapd.conf", "\n".join(lines) + "\n")
    lab.write("base.txt", base)
    lab.run("slapadd", "-q", "-f", configuration, "-l", lab.write("base.ldif", "\n".join(entries)))
    lab.spawn("slapd", "-d", "0", "-f", configuration, "-h", "ldap://0.0.0.0:389/")
    lab.wait_for(389)


def _use_ldap(session: Session) -> None:
    rng = session.rng
    base = (session.folder / "base.txt").read_text(encoding="utf-8")
    user = rng.choice([f"cn=admin,{base}", f"uid=u{rng.randrange(160)},{base}"])
    password = PASSWORD if rng.random() < 0.9 else session.words(1, 2)
    wish = rng.choice(
        [
            f"(uid=u{rng.randrange(160)})",
            f"(cn=*{name_of(rng, 1, 1)}*)",
            "(objectClass=*)",
            f"(|(sn={name_of(rng)}*)(mail=*{name_of(rng, 1, 1)}*))",
            f"(&(objectClass=inetOrgPerson)(title=*)(!(l={name_of(rng)})))",
        ]
    )
    kinds = rng.choice([[], ["cn"], ["mail", "cn"], ["*", "+"], ["1.1"], ["uid", "description", "street"]])
    play = session.client("ldapsearch", "ldap3", "ldap3", "tools")
    link = [
        "-x",
        "-H",
        f"ldap://{session.server}",
        *rng.choice([[], ["-D", user, "-w", password]]),
        *rng.choice([[], [], ["-ZZ"]]),
    ]
    environment = ["env", "LDAPTLS_REQCERT=never"]
    if play == "ldapsearch":
        shape = rng.choice(
            [
                [],
                ["-z", rng.randint(1, 60)],
                ["-s", "base"],
                ["-E", f"pr={rng.randint(3, 25)}/noprompt"],
                ["-LLL"],
                ["-A"],
            ]
        )
        session.run(*environment, "ldapsearch", *link, "-b", base, *shape, wish, *kinds)
    elif play == "tools":
        admin = ["-x", "-H", f"ldap://{session.server}", "-D", f"cn=admin,{base}", "-w", password]
        number = rng.randrange(150)
        change = (
            f"dn: uid=u{number},{base}\nchangetype: modify\nreplace: description\ndescription: {session.words(1, 60)}\n"
        )
        new = f"dn: uid={name_of(rng, 3, 6)},{base}\nobjectClass: inetOrgPerson\n"
        new += f"cn: {session.words(1, 3)}\nsn: {name_of(rng)}\n"
        steps = [
            (["ldapwhoami", *admin], None),
            (["ldapmodify", *admin], change),
            (["ldapadd", *admin], new),
            (["ldapcompare", *admin, f"uid=u{number},{base}", f"sn:{name_of(rng)}"], None),
            (["ldappasswd", *admin, "-s", PASSWORD, f"uid=u{number},{base}"], None),
            (["ldapdelete", *admin, f"uid={name_of(rng)},{base}"], None),
        ]
        command, stdin = rng.choice(steps)
        session.run(*environment, *command, stdin=stdin)
    else:
        server = ldap3.Server(
            session.server, get_info=rng.choice([ldap3.NONE, ldap3.NONE, ldap3.DSA, ldap3.SCHEMA]), connect_timeout=5
        )
        with ldap3.Connection(server, user=user, password=password, receive_timeout=5) as wire:
            for _ in range(rng.randint(1, 9)):
                filter_text = rng.choice([wish, f"(uid=u{rng.randrange(160)})", f"(sn={name_of(rng, 1, 1)}*)"])
                wire.search(
                    base,
                    filter_text,
                    attributes=rng.choice([["cn"], ["*"], ["mail", "title"]]),
                    size_limit=rng.choice([0, 5, 30]),
                )
                if rng.random() < 0.2:
                    wire.compare(f"uid=u{rng.randrange(150)},{base}", "uid", name_of(rng))
                session.think(0.08)


SERVICES = {
    "ldap": Service(_start_ldap, _use_ldap, ((6, 389, 389, "ldap"),)),
}
