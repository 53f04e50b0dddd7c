"""Namespaces joined by veth, one small network a capture, gone when the block ends.

``server -- p0 [relay] p1 -- client 1, p2 -- client 2, …``: the relay's namespace holds one end of every pair and
:mod:`loopback.relay` forwards between them. Nothing is joined to the machine's own network. Segmentation offloads and
checksum offloads are off, so that captured packets are what a real wire of MTU 1500 would carry; neighbours are
static and IPv6 is off, so that a capture holds no ARP or neighbour discovery.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from loopback.workload import Persona

__all__ = ["CLIENT_HOSTS", "ENVIRONMENT", "SERVER_ADDRESS", "Lab", "draw_wires"]

CLIENT_HOSTS = 3
SERVER_ADDRESS = "10.77.0.1"
_OFFLOADS = ["tso", "gso", "gro", "lro", "tx", "rx", "sg"]
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {
    "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
    "OMP_NUM_THREADS": "1",
}


def draw_wires(persona: Persona) -> list[tuple[float, float, float, float]]:
    """(delay s, jitter s, rate bytes/s, loss) of each client's wire: near or far, thick or thin, clean or not."""
    rng = persona.rng("wires")
    median = persona.pick("distance", [0.001, 0.004, 0.01, 0.02, 0.04])
    rate = persona.pick("rate", [6e5, 1.2e6, 2.5e6, 6e6])
    loss = persona.pick("loss", [0.0, 0.0, 0.001, 0.004])
    wires = []
    for _ in range(CLIENT_HOSTS):
        delay = min(rng.lognormvariate(math.log(median), 0.5), 0.12)
        wires.append((delay, delay * rng.uniform(0.02, 0.2), rate * rng.uniform(0.5, 1.5), loss))
    return wires


class Lab:
    """The network of one capture. Use as a context: leaving it ends its processes and deletes its namespaces."""

    def __init__(self, persona: Persona, folder: Path):
        self.persona, self.folder = persona, folder
        self.log = (folder / "programs.log").open("ab")
        prefix = f"ntg{os.getpid()}-{persona.capture}"
        self.relay_space, self.server_space = f"{prefix}-wire", f"{prefix}-server"
        self.client_spaces = [f"{prefix}-client{number}" for number in range(1, CLIENT_HOSTS + 1)]
        self._ended = False
        self._spaces = [self.relay_space, self.server_space, *self.client_spaces]

    def __enter__(self) -> Lab:
        try:
            self._lay()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end_programs()
        for space in self._spaces:
            subprocess.run(["ip", "netns", "delete", space], capture_output=True)
        self.log.close()

    def end_programs(self) -> None:
        """End every program in these namespaces, daemons too (only ours can be there), and let none start again."""
        self._ended = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            found = [pid for space in self._spaces for pid in _pids(space)]
            for pid in found:
                _kill(pid, number)
            if found:
                time.sleep(0.3)

    # -- programs ---------------------------------------------------------------------------------------------------
    def inside(self, space: str, *command: object) -> list[str]:
        """The command line that runs `command` in namespace `space`; InterruptedError after `end_programs`."""
        if self._ended:
            raise InterruptedError(f"{self.persona.capture}: stopped")
        return ["nsenter", f"--net=/run/netns/{space}", *map(str, command)]

    def inside_client(self, number: int, *command: object) -> list[str]:
        """The command line that runs `command` on client host `number`, where the server has its names."""
        hosts = self.write("hosts", f"{SERVER_ADDRESS} {' '.join(self.persona.hosts)}\n")
        mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return self.inside(self.client_spaces[number], "unshare", "--mount", "sh", "-c", mount, hosts, *command)

    def spawn(
        self, *command: object, space: str | None = None, user: str | None = None, **environment: str
    ) -> subprocess.Popen:
        """Start a program (on the server host) and leave it running."""
        switched = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command] if user else command
        return subprocess.Popen(
            self.inside(space or self.server_space, *switched),
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            cwd=self.folder,
            env={**ENVIRONMENT, **environment},
            start_new_session=True,
        )

    def spawn_python(self, module: str, *arguments: object, space: str | None = None) -> subprocess.Popen:
        """Start one of our own programs, ``python -m loopback.<module>``."""
        return self.spawn(sys.executable, "-m", f"loopback.{module}", *arguments, space=space)

    def run(self, *command: object, user: str | None = None, stdin: str = "") -> None:
        """Run a set-up command on the server host to its end; raise if it fails."""
        switched = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *command] if user else command
        subprocess.run(
            self.inside(self.server_space, *switched),
            input=stdin.encode(),
            stdout=self.log,
            stderr=self.log,
            cwd=self.folder,
            check=True,
        )

    def wait_for(self, *ports: int, udp: bool = False, patience: float = 30) -> None:
        """Return when programs listen on all `ports` of the server host."""
        end = time.monotonic() + patience
        for port in ports:
            command = self.inside(self.server_space, "ss", "-Hln", "-u" if udp else "-t", "sport", "=", f":{port}")
            while not subprocess.run(command, capture_output=True).stdout.strip():
                if time.monotonic() > end:
                    raise TimeoutError(f"{self.persona.capture}: nothing listens on port {port}; see {self.log.name}")
                time.sleep(0.05)

    def write(self, name: str, content: str) -> Path:
        """Write a configuration file into the capture's folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    def record(self, path: Path) -> subprocess.Popen:
        """Start tcpdump at the server's interface; 128 bytes of each packet are kept."""
        dump = self.spawn("tcpdump", "-i", "eth0", "-s", 128, "-B", 8192, "-U", "-Z", "root", "-w", path, "ip")
        while not path.exists() or path.stat().st_size < 24:
            if dump.poll() is not None:
                raise RuntimeError(f"{self.persona.capture}: tcpdump ended; see {self.log.name}")
            time.sleep(0.02)
        return dump

    # -- wires ------------------------------------------------------------------------------------------------------
    def _lay(self) -> None:
        hosts = [(self.server_space, 1), *((space, 11 + n) for n, space in enumerate(self.client_spaces))]
        _ip("netns", "add", self.relay_space)
        for port, (space, address) in enumerate(hosts):
            _ip("netns", "add", space)
            pair = ("eth0", "netns", space, "address", _mac(port), "type", "veth", "peer", "name", f"p{port}")
            _ip("link", "add", *pair, "netns", self.relay_space)
            for name, where in ((f"p{port}", self.relay_space), ("eth0", space)):
                switches = [word for offload in _OFFLOADS for word in (offload, "off")]
                subprocess.run(self.inside(where, "ethtool", "-K", name, *switches), capture_output=True)
                _ip("-n", where, "link", "set", name, "mtu", 1500, "up")
            self._quiet(space)
            _ip("-n", space, "link", "set", "lo", "up")
            _ip("-n", space, "address", "add", f"10.77.0.{address}/24", "dev", "eth0")
            for other, (_, neighbour) in enumerate(hosts):
                if other != port:
                    near = ("neighbour", "replace", f"10.77.0.{neighbour}", "lladdr", _mac(other), "dev", "eth0")
                    _ip("-n", space, *near, "nud", "permanent")
        self._quiet(self.relay_space)
        wires = [",".join(map(str, wire)) for wire in draw_wires(self.persona)]
        self.spawn_python("relay", f"{self.persona.seed}/{self.persona.capture}", *wires, space=self.relay_space)

    def _quiet(self, space: str) -> None:
        settings = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv4.ip_unprivileged_port_start=0")
        subprocess.run(self.inside(space, "sysctl", "-q", "-w", *settings), check=True, capture_output=True)


def _mac(port: int) -> str:
    return f"02:00:00:00:00:{port:02x}"


def _ip(*words: object) -> None:
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")


def _pids(space: str) -> list[int]:
    done = subprocess.run(["ip", "netns", "pids", space], capture_output=True, text=True)
    return [int(pid) for pid in done.stdout.split()]


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
