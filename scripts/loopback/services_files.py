"""Files: FTP with its data connections, git, rsync."""

from __future__ import annotations

import ftplib
import shutil
import sys
from pathlib import Path

from loopback.network import Lab
from loopback.site import PASSWORD, USER, make_site
from loopback.workload import Persona, Service, Session, lognormal, name_of, text

__all__ = ["SERVICES"]

_DATA_PORTS = (40_000, 40_999)


# -- FTP ---------------------------------------------------------------------------------------------------------------
def _start_ftp(lab: Lab) -> None:
    """pyftpdlib, or vsftpd for anonymous users."""
    make_site(lab.persona, lab.folder)
    incoming = lab.folder / "site" / "incoming"
    incoming.mkdir(exist_ok=True)
    incoming.chmod(0o777)
    if lab.persona.index % 3 == 2:
        lines = {
            "listen": "YES",
            "anonymous_enable": "YES",
            "anon_root": lab.folder / "site",
            "anon_upload_enable": "YES",
            "write_enable": "YES",
            "pasv_min_port": _DATA_PORTS[0],
            "pasv_max_port": _DATA_PORTS[1],
            "secure_chroot_dir": lab.folder / "tmp",
            "seccomp_sandbox": "NO",
            "ftpd_banner": text(lab.persona.rng("banner"), 50),
        }
        (lab.folder / "tmp").mkdir()
        configuration = lab.write("vsftpd.conf", "".join(f"{name}={value}\n" for name, value in lines.items()))
        lab.spawn("vsftpd", configuration)
    else:
        lab.spawn_python("programs", "ftp", lab.persona.seed, lab.persona.capture, lab.folder / "site")
    lab.wait_for(21)


def _use_ftp(session: Session) -> None:
    rng = session.rng
    anonymous = session.persona.index % 3 == 2 or rng.random() < 0.3
    user, password = ("anonymous", f"{name_of(rng, 1, 8)}@test") if anonymous else session.log_in()
    site = session.folder / "site"
    files = [str(path.relative_to(site)) for path in sorted(site.rglob("*")) if path.is_file()]
    chosen = rng.sample(files, rng.randint(1, 4))
    body = session.folder / f"up-{session.number}"
    body.write_bytes(rng.randbytes(session.size(5000, 1.4, 150_000)))
    play = session.client("ftplib", "curl", "lftp", "wget")
    if play == "curl":
        extra = rng.choice(
            [[], ["--disable-epsv"], ["-I"], ["-l"], ["--ftp-method", rng.choice(["nocwd", "singlecwd"])]]
        )
        place = ["-T", body, f"ftp://{session.server}/incoming/{name_of(rng)}"]
        fetch = [
            part for name in chosen for part in ("-o", "/dev/null", f"ftp://{session.server}/{rng.choice([name, ''])}")
        ]
        session.run(
            "curl", "-s", "-m", "15", "-u", f"{user}:{password}", *extra, *(place if rng.random() < 0.25 else fetch)
        )
    elif play == "lftp":
        steps = "; ".join(
            rng.choice([f"cat {name}", f"cls -l {Path(name).parent}", f"put {body} -o incoming/{name_of(rng)}", "pwd"])
            for name in chosen
        )
        session.run(
            "lftp",
            "-c",
            f"set net:max-retries 1; set net:timeout 5; open -u {user},{password} ftp://{session.server}; {steps}; bye",
        )
    elif play == "wget":
        links = [f"ftp://{user}:{password.split()[0]}@{session.server}/{name}" for name in chosen]
        session.run("wget", "-q", "-t", "1", "-T", "8", "-O", "/dev/null", *links)
    else:
        with ftplib.FTP(session.server, timeout=10) as client:
            client.login(user, password)
            for name in chosen:
                step = rng.choice(["RETR", "RETR", "LIST", "NLST", "STOR", "SIZE", "NOOP", "MDTM"])
                if step == "RETR":
                    client.retrbinary(f"RETR {name}", len)
                elif step == "STOR":
                    with body.open("rb") as source:
                        client.storbinary(f"STOR incoming/{name_of(rng)}", source)
                elif step in ("LIST", "NLST"):
                    client.retrlines(f"{step} {Path(name).parent}", len)
                else:
                    client.voidcmd("TYPE I")
                    client.voidcmd(step if step == "NOOP" else f"{step} {name}")
                session.think(0.15)


# -- git ---------------------------------------------------------------------------------------------------------------
def _repositories(persona: Persona) -> list[str]:
    rng = persona.rng("repositories")
    return ["/".join(name_of(rng, 1, 5) for _ in range(rng.randint(1, 3))) + ".git" for _ in range(12)]


def _start_git(lab: Lab) -> None:
    """git daemon over a dozen repositories with histories of their own."""
    rng = lab.persona.rng("git")
    for name in _repositories(lab.persona):
        bare = lab.folder / "repositories" / name
        lab.run("git", "init", "-q", "--bare", bare)
        stream = []
        for commit in range(lognormal(rng, 12, 0.9, 1, 80)):
            branch = f"refs/heads/{rng.choice(['main', 'main', 'main', name_of(rng)])}" if commit else "refs/heads/main"
            note = text(rng, rng.randint(5, 200))
            date = 1_700_000_000 + commit * 900
            stream.append(f"commit {branch}\ncommitter a <a@test> {date} +0000\ndata {len(note)}\n{note}\n")
            for _ in range(rng.randint(1, 5)):
                body = text(rng, lognormal(rng, 800, 1.3, 1, 30_000))
                stream.append(f"M 100644 inline {name_of(rng, 1, 2)}/{name_of(rng)}.txt\ndata {len(body)}\n{body}\n")
        tags = [f"v{tag}.{rng.randint(0, 9)}" for tag in range(rng.randint(0, 25))]
        stream += [f"reset refs/tags/{tag}\nfrom refs/heads/main\n\n" for tag in tags]
        lab.run("git", f"--git-dir={bare}", "fast-import", "--quiet", "--force", stdin="".join(stream))
        lab.run("git", f"--git-dir={bare}", "symbolic-ref", "HEAD", "refs/heads/main")
    options = ["--reuseaddr", "--export-all", "--enable=receive-pack", f"--base-path={lab.folder / 'repositories'}"]
    lab.spawn("git", "daemon", *options, lab.folder / "repositories")
    lab.wait_for(9418)


def _use_git(session: Session) -> None:
    rng = session.rng
    name = rng.choice(_repositories(session.persona)) if rng.random() < 0.94 else f"{name_of(rng)}.git"
    link = f"git://{rng.choice([session.server, session.host])}/{name}"
    git = ["git", "-c", f"protocol.version={rng.choice([0, 1, 2, 2])}", "-c", "user.name=a", "-c", "user.email=a@test"]
    clone = session.folder / f"clone-{session.number}"
    play = rng.choice(["clone", "clone", "shallow", "list", "fetch", "push", "dulwich"])
    if play == "list":
        session.run(*git, "ls-remote", *rng.choice([[], ["--heads"], ["--tags"]]), link)
        return
    if play == "dulwich":
        session.run(sys.executable, "-m", "dulwich", "clone", "--bare", link, clone)
        return
    shape = ["--depth", rng.randint(1, 9)] if play in ("shallow", "fetch") else []
    shape += rng.choice(
        [[], [], ["--single-branch"], ["--no-tags"], ["--filter=blob:none"], ["--bare"] if play == "clone" else []]
    )
    session.run(*git, "clone", "-q", *shape, link, clone)
    session.think(0.2)
    if play == "fetch":
        session.run(
            *git, "-C", clone, "fetch", "-q", rng.choice(["--unshallow", f"--deepen={rng.randint(1, 9)}", "--tags"])
        )
    if play == "push" and clone.exists():
        for _ in range(rng.randint(1, 3)):
            (clone / f"{name_of(rng)}.txt").write_text(text(rng, session.size(1500, 1.3, 60_000)), encoding="utf-8")
            session.run(*git, "-C", clone, "add", "-A")
            session.run(*git, "-C", clone, "commit", "-q", "-m", session.words(1, 20))
        session.run(*git, "-C", clone, "push", "-q", "origin", f"HEAD:refs/heads/{name_of(rng, 2, 5)}")
    shutil.rmtree(clone, ignore_errors=True)


# -- rsync -------------------------------------------------------------------------------------------------------------
def _modules(persona: Persona) -> list[str]:
    rng = persona.rng("modules")
    return [name_of(rng, 1, 8) for _ in range(8)]


def _start_rsync(lab: Lab) -> None:
    make_site(lab.persona, lab.folder)
    (lab.folder / "in").mkdir()
    lab.write("secrets", f"{USER}:{PASSWORD}\n").chmod(0o600)
    rng = lab.persona.rng("rsync")
    modules = {"in": "read only = no", "closed": f"auth users = {USER}\nsecrets file = {lab.folder}/secrets"}
    modules |= dict.fromkeys(_modules(lab.persona), "read only = yes")
    lines = [f"use chroot = no\nuid = root\ngid = root\npid file = {lab.folder}/rsyncd.pid\nreverse lookup = no\n"]
    if rng.random() < 0.5:
        lines.append(f"motd file = {lab.write('motd', text(rng, rng.randint(30, 900)))}\n")
    for module, rules in modules.items():
        path = lab.folder / ("in" if module == "in" else "site")
        lines.append(f"[{module}]\npath = {path}\ncomment = {text(rng, rng.randint(5, 60))}\n{rules}\n")
    lab.spawn("rsync", "--daemon", "--no-detach", f"--config={lab.write('rsyncd.conf', ''.join(lines))}")
    lab.wait_for(873)


def _use_rsync(session: Session) -> None:
    rng = session.rng
    copy = session.folder / f"copy-{session.number}"
    site = session.folder / "site"
    folders = ["", *(f"{path.relative_to(site)}/" for path in sorted(site.iterdir()) if path.is_dir())]
    base = [
        "rsync",
        "--timeout=8",
        *rng.sample(["-z", "-c", "--whole-file", "-n", "--numeric-ids", "--no-inc-recursive"], rng.randint(0, 2)),
    ]
    base += [rng.choice(["-a", "-r", "-rt", "-av"])]
    link, module = f"rsync://{session.server}", rng.choice(_modules(session.persona))
    play = rng.choice(["list", "pull", "pull", "push", "update", "closed"])
    if play == "list":
        session.run(
            "rsync",
            rng.choice(
                [f"{link}/", f"{link}/{module}/", f"{link}/{name_of(rng)}/", f"{link}/{module}/{rng.choice(folders)}"]
            ),
        )
    elif play == "push":
        copy.mkdir()
        for _ in range(rng.randint(1, 12)):
            (copy / name_of(rng)).write_bytes(rng.randbytes(session.size(1500, 1.4, 60_000)))
        session.run(*base, f"{copy}/", f"{link}/in/{name_of(rng)}/")
    elif play == "closed":
        password = session.folder / f"password-{session.number}"
        password.write_text(rng.choice([PASSWORD, PASSWORD, session.words(1, 1)]), encoding="utf-8")
        password.chmod(0o600)
        session.run(
            *base, f"--password-file={password}", f"rsync://{USER}@{session.server}/closed/{rng.choice(folders)}", copy
        )
    else:
        source = f"{link}/{module}/{rng.choice(folders)}"
        limit = rng.choice(
            [[], ["--max-size=9k"], ["--include=*/", "--include=*.html", "--exclude=*"], ["--bwlimit=400"]]
        )
        session.run(*base, *limit, source, copy)
        if play == "update":
            for path in [path for path in copy.rglob("*") if path.is_file()][: rng.randint(1, 6)]:
                path.write_bytes(path.read_bytes()[: session.size(3000)] + rng.randbytes(40))
            session.think(0.2)
            session.run(*base, source, copy)
    shutil.rmtree(copy, ignore_errors=True)


SERVICES = {
    "ftp": Service(_start_ftp, _use_ftp, ((6, 21, 21, "ftp"), (6, *_DATA_PORTS, "ftp-data"))),
    "git": Service(_start_git, _use_git, ((6, 9418, 9418, "git"),), sessions=48),
    "rsync": Service(_start_rsync, _use_rsync, ((6, 873, 873, "rsync"),), sessions=54),
}
