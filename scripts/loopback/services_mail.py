"""Mail: SMTP in, IMAP out, in the clear and after STARTTLS."""

from __future__ import annotations

import imaplib
import random
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path

from loopback.certificates import make_chains
from loopback.network import Lab
from loopback.site import PASSWORD, USER
from loopback.workload import Service, Session, lognormal, name_of, text

__all__ = ["SERVICES"]

_POSTFIX = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = {name}
mydestination =
mynetworks = 10.77.0.0/24
inet_interfaces = all
inet_protocols = ipv4
default_transport = discard:
relay_transport = discard:
local_transport = discard:
alias_maps =
maillog_file = /dev/stdout
smtpd_banner = $myhostname ESMTP {banner}
smtpd_tls_cert_file = {chain}
smtpd_tls_key_file = {key}
smtpd_tls_security_level = may
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
disable_dns_lookups = yes
message_size_limit = {limit}
"""

_DOVECOT = """
protocols = imap
base_dir = {folder}/run
log_path = {folder}/dovecot.log
ssl = yes
ssl_cert = <{chain}
ssl_key = <{key}
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5
login_greeting = {greeting}
mail_location = maildir:{folder}/mail/%u
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = {folder}/passwords
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  inet_listener imaps {{
    port = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


def _letter(rng: random.Random, size: int) -> EmailMessage:
    """A message of prose, sometimes with HTML and attachments."""
    letter = EmailMessage()
    letter["From"] = f"{name_of(rng)}@{name_of(rng)}.test"
    letter["To"] = ", ".join(f"{name_of(rng)}@{name_of(rng)}.test" for _ in range(rng.choice([1, 1, 2, 5])))
    letter["Subject"] = text(rng, rng.randint(3, 90))
    for _ in range(rng.randint(0, 5)):
        letter[f"X-{name_of(rng).title()}"] = text(rng, rng.randint(5, 60))
    prose = "\n".join(text(rng, 70) for _ in range(size // 71 + 1))
    letter.set_content(prose)
    if rng.random() < 0.35:
        letter.add_alternative(f"<html><body><p>{prose}</p></body></html>", subtype="html")
    if rng.random() < 0.3:
        picture = rng.randbytes(lognormal(rng, 5000, 1.2, 100, 80_000))
        letter.add_attachment(picture, maintype="image", subtype="png", filename=f"{name_of(rng)}.png")
    return letter


def _context(session: Session) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(session.rng.choice(["DEFAULT", "ECDHE+AESGCM", "HIGH:!aNULL", "ALL:@SECLEVEL=1"]))
    if session.chance(0.3):
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


# -- SMTP -----------------------------------------------------------------------------------------------------------
def _start_smtp(lab: Lab) -> None:
    """Postfix that throws mail away, or aiosmtpd with log-in."""
    chain, key = make_chains(lab.persona, lab.folder)
    rng = lab.persona.rng("smtp")
    if lab.persona.index % 2:
        lab.spawn_python("programs", "smtp", lab.persona.seed, lab.persona.capture, lab.folder)
    else:
        values = {
            "folder": lab.folder,
            "chain": chain,
            "key": key,
            "name": f"{name_of(rng)}.{name_of(rng)}.test",
            "banner": text(rng, rng.randint(3, 60)),
            "limit": rng.choice([60_000, 10_000_000]),
        }
        for name in ("queue", "data"):
            (lab.folder / name).mkdir()
        lab.run("chown", "postfix", lab.folder / "data")
        main = lab.write("postfix/main.cf", _POSTFIX.format(**values))
        template = Path("/usr/share/postfix/master.cf.dist").read_text(encoding="utf-8")
        lines = [line for line in template.splitlines() if not line.startswith("#")]
        lab.write("postfix/master.cf", "\n".join(line.replace(" y ", " n ") for line in lines) + "\n")
        lab.run("postfix", "-c", main.parent, "start")
    lab.wait_for(25)


def _send(session: Session) -> None:
    rng = session.rng
    play = session.client("smtplib", "swaks", "curl", "smtp-source")
    letter = _letter(rng, session.size(1200, 1.2, 40_000))
    sender, receivers = (
        f"{name_of(rng)}@{name_of(rng)}.test",
        [f"{name_of(rng)}@{name_of(rng)}.test" for _ in range(rng.choice([1, 1, 2, 6]))],
    )
    if play == "swaks":
        command = [
            "swaks",
            "--server",
            session.server,
            "--from",
            sender,
            "--to",
            ",".join(receivers),
            "--timeout",
            "8",
            "--helo",
            name_of(rng),
        ]
        command += rng.choice(
            [[], ["--tls"], ["--tls-optional"], ["--quit-after", rng.choice(["EHLO", "MAIL", "RCPT"])]]
        )
        command += ["--body", text(rng, session.size(800)), "--header", f"Subject: {session.words(1, 9)}"]
        command += ["--auth-user", USER, "--auth-password", PASSWORD] if rng.random() < 0.3 else []
        session.run(*command)
    elif play == "curl":
        body = session.folder / f"letter-{session.number}"
        body.write_bytes(letter.as_bytes())
        command = [
            "curl",
            "-sk",
            "-m",
            "12",
            f"smtp://{session.server}/{name_of(rng)}.test",
            "--mail-from",
            sender,
            "-T",
            body,
        ]
        command += [part for receiver in receivers for part in ("--mail-rcpt", receiver)]
        command += rng.choice([[], ["--ssl-reqd"], ["--ssl"]]) + rng.choice([[], [], ["-u", f"{USER}:{PASSWORD}"]])
        session.run(*command)
    elif play == "smtp-source":
        shape = ["-m", rng.randint(1, 6), "-l", session.size(1500, 1.0, 40_000), "-r", rng.randint(1, 5)]
        session.run(
            "smtp-source",
            *shape,
            *rng.choice([[], ["-d"], ["-o"]]),
            "-f",
            sender,
            "-t",
            receivers[0],
            f"{session.server}:25",
        )
    else:
        _send_with_smtplib(session, sender, receivers)


def _send_with_smtplib(session: Session, sender: str, receivers: list[str]) -> None:
    rng = session.rng
    with smtplib.SMTP(session.server, 25, local_hostname=f"{name_of(rng)}.test", timeout=10) as client:
        if rng.random() < 0.4:
            client.starttls(context=_context(session))
            if session.persona.index % 2 and rng.random() < 0.6:
                client.login(USER, PASSWORD if rng.random() < 0.8 else session.words(1, 3))
        if rng.random() < 0.2:
            client.verify(receivers[0])
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            client.sendmail(sender, receivers, _letter(rng, session.size(1200, 1.2, 40_000)).as_bytes())
            session.think(0.15)
            if rng.random() < 0.2:
                client.rset()


# -- IMAP -----------------------------------------------------------------------------------------------------------
def _start_imap(lab: Lab) -> None:
    """Dovecot over a dozen mailboxes of letters."""
    chain, key = make_chains(lab.persona, lab.folder)
    rng = lab.persona.rng("imap")
    for user in lab.persona.users:
        box = lab.folder / "mail" / user
        for folder in ("", ".Sent/", ".Archive/"):
            for name in ("cur", "new", "tmp"):
                (box / f"{folder}{name}").mkdir(parents=True)
            for letter in range(lognormal(rng, 8, 0.9, 0, 60)):
                path = (
                    box
                    / f"{folder}cur"
                    / f"{1_700_000_000 + letter}.M{letter}.host:2,{rng.choice(['', 'S', 'FS', 'RS'])}"
                )
                path.write_bytes(_letter(rng, lognormal(rng, 900, 1.2, 20, 30_000)).as_bytes())
    lab.write("passwords", "".join(f"{user}:{{PLAIN}}{word}::::::\n" for user, word in lab.persona.users.items()))
    lab.run("chown", "-R", "mail:mail", lab.folder / "mail")
    configuration = _DOVECOT.format(folder=lab.folder, chain=chain, key=key, greeting=text(rng, rng.randint(5, 70)))
    lab.spawn("dovecot", "-F", "-c", lab.write("dovecot.conf", configuration))
    lab.wait_for(143)


def _read_mail(session: Session) -> None:
    rng = session.rng
    user, password = session.log_in()
    play = session.client("imaplib", "curl", "mbsync")
    if play == "curl":
        place = rng.choice(
            [
                "",
                "INBOX",
                f"INBOX;MAILINDEX={rng.randint(1, 9)}",
                "INBOX;MAILINDEX=1;SECTION=HEADER",
                "Sent;MAILINDEX=2",
            ]
        )
        command = ["curl", "-sk", "-m", "10", f"imap://{session.server}/{place}", "-u", f"{user}:{password}"]
        wish = rng.choice(
            [[], ["-X", "SEARCH ALL"], ["-X", f"FETCH 1:{rng.randint(2, 20)} (FLAGS RFC822.SIZE)"], ["-X", 'LIST "" *']]
        )
        session.run(*command, *(wish if not place or place == "INBOX" else []), *rng.choice([[], [], ["--ssl-reqd"]]))
    elif play == "mbsync":
        _sync(session, user, password)
    else:
        _read_with_imaplib(session, user, password)


def _sync(session: Session, user: str, password: str) -> None:
    """A mail program that keeps a copy: the first synchronisation fetches a lot, later ones little."""
    home = session.folder / f"copy-{session.number}"
    home.mkdir()
    lines = [
        "IMAPStore far",
        f"Host {session.server}",
        f"User {user}",
        f"Pass {password}",
        f"SSLType {session.rng.choice(['None', 'None', 'STARTTLS'])}",
        f"CertificateFile {session.folder}/chain-0.pem",
        "AuthMechs LOGIN",
        "",
        "MaildirStore near",
        f"Path {home}/",
        f"Inbox {home}/INBOX",
        "",
        "Channel all",
        "Far :far:",
        "Near :near:",
        f"Patterns {session.rng.choice(['INBOX', '*', 'Sent'])}",
        "Create Near",
        f"MaxMessages {session.rng.randint(0, 12)}",
        "SyncState *",
    ]
    (home / "rc").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for _ in range(session.rng.randint(1, 2)):
        session.run("mbsync", "-q", "-c", home / "rc", "all")
        session.think(0.2)


def _read_with_imaplib(session: Session, user: str, password: str) -> None:
    rng = session.rng
    with imaplib.IMAP4(session.server, timeout=10) as client:
        if rng.random() < 0.3:
            client.starttls(_context(session))
        if rng.random() < 0.3:
            client.login_cram_md5(user, password)
        else:
            client.login(user, password)
        client.select(rng.choice(["INBOX", "INBOX", "Sent", "Archive"]), readonly=rng.random() < 0.5)
        for _ in range(rng.randint(1, 7)):
            number = str(rng.randint(1, 12))
            step = rng.choice(["headers", "body", "search", "flags", "append", "noop", "status", "list", "structure"])
            if step == "headers":
                client.uid("FETCH", f"1:{rng.randint(1, 15)}", "(FLAGS BODY.PEEK[HEADER.FIELDS (FROM SUBJECT DATE)])")
            elif step == "body":
                client.uid("FETCH", number, rng.choice(["(RFC822)", "(BODY[TEXT])", "(BODY.PEEK[]<0.2048>)"]))
            elif step == "search":
                client.search(
                    None, *rng.choice([("ALL",), ("UNSEEN",), ("SUBJECT", name_of(rng, 1, 2)), ("TEXT", name_of(rng))])
                )
            elif step == "flags":
                client.uid("STORE", number, "+FLAGS", rng.choice([r"(\Seen)", r"(\Flagged)", r"(\Answered)"]))
            elif step == "append":
                client.append("Archive", None, None, _letter(rng, session.size(700)).as_bytes())
            elif step == "structure":
                client.uid("FETCH", f"1:{rng.randint(1, 6)}", "(BODYSTRUCTURE ENVELOPE)")
            elif step == "status":
                client.status("INBOX", "(MESSAGES UNSEEN RECENT UIDNEXT)")
            else:
                client.noop() if step == "noop" else client.list()
            session.think(0.15)


SERVICES = {
    "smtp": Service(_start_smtp, _send, ((6, 25, 25, "smtp"),)),
    "imap": Service(_start_imap, _read_mail, ((6, 143, 143, "imap"),)),
}
