"""Secure shells: SSH sessions and SFTP."""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import time
from pathlib import Path

import paramiko

from loopback.network import Lab
from loopback.site import make_site
from loopback.workload import Service, Session, name_of, text

__all__ = ["SERVICES"]

_CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
)
_EXCHANGES = (
    "sntrup761x25519-sha512@openssh.com",
    "curve25519-sha256",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group14-sha256",
)
_MACS = ("umac-64-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512", "umac-128@openssh.com")


def _start_sshd(lab: Lab) -> None:
    """OpenSSH with host keys, banner and log-in key of the capture's own."""
    rng = lab.persona.rng("sshd")
    make_site(lab.persona, lab.folder)
    kinds = rng.sample(["ed25519", "ecdsa", "rsa"], rng.randint(1, 3))
    for kind in kinds:
        lab.run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", lab.folder / f"host_{kind}")
    for name, kind in (("good", lab.persona.cycle("ed25519", "rsa", "ecdsa")), ("bad", "ed25519"), ("other", "rsa")):
        lab.run("ssh-keygen", "-q", "-t", kind, "-N", "", "-C", text(rng, rng.randint(4, 40)), "-f", lab.folder / name)
    (lab.folder / "keys").write_bytes((lab.folder / "good.pub").read_bytes())
    lab.write("banner", text(rng, rng.choice([30, 200, 900])))
    Path("/run/sshd").mkdir(exist_ok=True)
    lines = [
        *(f"HostKey {lab.folder}/host_{kind}" for kind in kinds),
        f"AuthorizedKeysFile {lab.folder}/keys",
        "ListenAddress 0.0.0.0:22",
        f"PidFile {lab.folder}/sshd.pid",
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin yes",
        "MaxStartups 100",
        "PasswordAuthentication yes",
        "PrintLastLog no",
        f"Subsystem sftp {rng.choice(['internal-sftp', '/usr/lib/openssh/sftp-server'])}",
        f"VersionAddendum {name_of(rng)}" if rng.random() < 0.5 else "",
        f"Banner {lab.folder}/banner" if rng.random() < 0.4 else "",
    ]
    home = lab.folder / "home"  # root's home as the sessions see it: empty, no start-up files
    home.mkdir()
    mount = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /root && exec "$@"', home]
    lab.spawn(*mount, "/usr/sbin/sshd", "-D", "-e", "-f", lab.write("sshd_config", "\n".join(lines) + "\n"))
    lab.wait_for(22)


def _ssh_options(session: Session) -> list[str]:
    rng = session.rng
    options = [
        "-F",
        "none",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "BatchMode=yes",
    ]
    keys = rng.choice([["good"], ["good"], ["good"], ["other", "good"], ["bad", "other", "good"], ["bad"]])
    options += [part for key in keys for part in ("-i", str(session.folder / key))]
    options += ["-o", "IdentitiesOnly=yes", "-o", f"Ciphers={','.join(rng.sample(_CIPHERS, rng.randint(1, 4)))}"]
    options += ["-o", f"MACs={','.join(rng.sample(_MACS, rng.randint(1, 3)))}"]
    if rng.random() < 0.6:
        options += ["-o", f"KexAlgorithms={','.join(rng.sample(_EXCHANGES, rng.randint(1, 3)))}"]
    return options + rng.choice([[], [], ["-C"], []])


def _shell_command(session: Session) -> str:
    rng = session.rng
    site = session.folder / "site"
    return rng.choice(
        [
            "uname -a",
            f"ls -l{rng.choice('aRt')} {site} | head -n {rng.randint(1, 90)}",
            f"head -c {session.size(900, 1.6, 60_000)} /dev/urandom | base64",
            f"seq {rng.randint(1, 3000)}",
            f"echo {session.words(1, 30)}",
            f"for n in $(seq {rng.randint(2, 8)}); do echo tick $n; sleep 0.{rng.randint(1, 3)}; done",
            f"find {site} -size +{rng.randint(1, 20)}k | sort",
            f"grep -ro {name_of(rng, 1, 1)} {site} | wc -l",
            "df -h / && uptime",
            "exit 3",
        ]
    )


def _use_shell(session: Session) -> None:
    rng = session.rng
    play = session.client("command", "typed", "paramiko", "piped")
    if play == "paramiko":
        _use_paramiko(session)
    elif play == "typed":
        command = ["ssh", "-tt", *_ssh_options(session), f"root@{session.server}", "PS1='$ ' bash --norc -i"]
        with contextlib.suppress(BrokenPipeError):  # the log-in was refused
            shell = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            with shell:
                _type(session, shell)
    elif play == "piped":
        session.run(
            "ssh",
            *_ssh_options(session),
            f"root@{session.server}",
            "wc -c",
            stdin=rng.randbytes(session.size(3000, 1.5)),
        )
    else:
        session.run("ssh", *_ssh_options(session), f"root@{session.server}", _shell_command(session))


def _type(session: Session, shell: subprocess.Popen) -> None:
    """Type lines as a person does, key by key or pasted."""
    time.sleep(0.8)
    pace = session.rng.choice([0, 0.02, 0.06, 0.12])
    for line in (*(_shell_command(session) for _ in range(session.rng.randint(1, 4))), "exit"):
        keys = f"{line}\n" if len(line) < 60 else "pwd\n"
        for piece in keys if pace else [keys]:
            shell.stdin.write(piece.encode())
            shell.stdin.flush()
            time.sleep(session.rng.uniform(0.5, 1.5) * pace)
        session.think(0.3)


def _paramiko_transport(session: Session) -> paramiko.Transport:
    rng = session.rng
    transport = paramiko.Transport(socket.create_connection((session.server, 22), timeout=10))
    transport.banner_timeout = transport.auth_timeout = 10
    security = transport.get_security_options()
    security.ciphers = rng.sample([name for name in security.ciphers if "ctr" in name or "gcm" in name], 2)
    transport.use_compression(rng.random() < 0.2)
    transport.start_client(timeout=10)
    if rng.random() < 0.12:
        transport.auth_password("root", session.words(1, 4))
    kind = session.persona.cycle(paramiko.Ed25519Key, paramiko.RSAKey, paramiko.ECDSAKey)
    transport.auth_publickey("root", kind.from_private_key_file(str(session.folder / "good")))
    return transport


def _use_paramiko(session: Session) -> None:
    transport = _paramiko_transport(session)
    try:
        for _ in range(session.rng.randint(1, 4)):
            channel = transport.open_session()
            channel.settimeout(8)
            channel.exec_command(_shell_command(session))
            while channel.recv(32768):
                pass
            channel.close()
            session.think(0.2)
    finally:
        transport.close()


def _use_sftp(session: Session) -> None:
    rng = session.rng
    site = session.folder / "site"
    files = [str(path.relative_to(site)) for path in sorted(site.rglob("*")) if path.is_file()]
    play = session.client("sftp", "paramiko", "scp", "lftp")
    local = session.folder / f"local-{session.number}"
    local.write_bytes(rng.randbytes(session.size(6000, 1.4, 150_000)))
    chosen = rng.sample(files, rng.randint(1, 4))
    if play == "sftp":
        lines = [f"cd {site}"] if rng.random() < 0.6 else []
        for name in chosen:
            fetch, send = f"get {site / name} {local}.down", f"put {local} {local}.up"
            lines += [rng.choice(["ls -l", fetch, send, "pwd", "df", f"ls {site / name}"])]
        extra = rng.choice([[], ["-B", "8192"], ["-R", "4"], ["-p"]])
        session.run(
            "sftp",
            "-q",
            *_ssh_options(session),
            *extra,
            "-b",
            "-",
            f"root@{session.server}",
            stdin="\n".join(lines) + "\n",
        )
    elif play == "scp":
        source = rng.choice([str(local), f"root@{session.server}:{site / chosen[0]}"])
        target = f"root@{session.server}:{local}.up" if source == str(local) else f"{local}.down"
        session.run("scp", "-q", *_ssh_options(session), source, target)
    elif play == "lftp":
        program = f"ssh -a -x {' '.join(_ssh_options(session))}"
        steps = "; ".join(
            rng.choice([f"cat {site / name}", f"ls {site}", f"put {local} -o {local}.up", "pwd"]) for name in chosen
        )
        settings = f'set sftp:connect-program "{program}"; set net:max-retries 1; set net:timeout 5'
        session.run("lftp", "-c", f"{settings}; connect sftp://root:x@{session.server}; {steps}; bye")
    else:
        transport = _paramiko_transport(session)
        try:
            client = paramiko.SFTPClient.from_transport(transport)
            for name in chosen:
                step = rng.choice(["list", "get", "put", "stat", "read"])
                if step == "list":
                    client.listdir_attr(str((site / name).parent))
                elif step == "get":
                    client.getfo(str(site / name), io.BytesIO())
                elif step == "put":
                    client.put(str(local), f"{local}.up")
                elif step == "stat":
                    client.stat(str(site / name))
                else:
                    with client.open(str(site / name)) as handle:
                        handle.read(session.size(2000))
                session.think(0.1)
        finally:
            transport.close()


SERVICES = {
    "ssh": Service(_start_sshd, _use_shell, ((6, 22, 22, "ssh"),)),
    "sftp": Service(_start_sshd, _use_sftp, ((6, 22, 22, "sftp"),)),
}
