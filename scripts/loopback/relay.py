"""A wire with length: forwards IPv4 frames between veth ends after a delay drawn per frame.

The kernel here has no netem, so the way between hosts is this program: it reads frames from packet sockets and sends
each on after serialisation at the wire's rate, propagation and jitter; frames keep their order, a full queue drops,
and a seeded few are lost. Port 0 leads to the server, ports 1..n to the client hosts.

Run inside the namespace that holds the ports: ``python -m loopback.relay SEED WIRE...``, one WIRE
``delay,jitter,rate,loss`` (seconds, seconds, bytes per second, share) a client host.
"""

from __future__ import annotations

import random
import select
import socket
import sys
import time
from collections import deque

ETH_P_IP = 0x0800
QUEUE_FRAMES = 300


class Line:
    """One direction of one wire: frames in, frames out later, in order."""

    def __init__(self, out: socket.socket, rng: random.Random, wire: tuple[float, float, float, float]):
        self.out, self.rng = out, rng
        self.delay, self.jitter, self.rate, self.loss = wire
        self.queue: deque[tuple[float, bytes]] = deque()
        self.sender_free = self.last_due = 0.0

    def accept(self, frame: bytes, now: float) -> None:
        """Take a frame, or lose it."""
        if len(self.queue) >= QUEUE_FRAMES or self.rng.random() < self.loss:
            return
        self.sender_free = max(now, self.sender_free) + len(frame) / self.rate
        jitter = self.rng.expovariate(1 / self.jitter) if self.jitter else 0.0
        self.last_due = max(self.sender_free + self.delay + jitter, self.last_due)
        self.queue.append((self.last_due, frame))

    def deliver(self, now: float) -> float:
        """Send what is due; give the time the next frame is due."""
        while self.queue and self.queue[0][0] <= now:
            self.out.send(self.queue.popleft()[1])
        return self.queue[0][0] if self.queue else float("inf")


def open_port(name: str) -> socket.socket:
    """A packet socket that sees the IPv4 frames arriving at interface `name`."""
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
    port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    port.bind((name, ETH_P_IP))
    port.setblocking(False)
    return port


def drain(port: socket.socket, most: int = 64) -> list[bytes]:
    """The frames that wait at `port`, at most `most`."""
    frames = []
    for _ in range(most):
        try:
            frames.append(port.recv(2048))
        except BlockingIOError:
            break
    return frames


def main() -> None:
    """Forward until killed."""
    seed, *wires = sys.argv[1:]
    rng = random.Random(seed)
    server = open_port("p0")
    clients = [open_port(f"p{number}") for number in range(1, len(wires) + 1)]
    shapes = [tuple(map(float, wire.split(","))) for wire in wires]
    up = {port: Line(server, rng, shape) for port, shape in zip(clients, shapes, strict=True)}
    down = {number: Line(port, rng, shapes[number - 1]) for number, port in enumerate(clients, 1)}
    lines = [*up.values(), *down.values()]
    due = float("inf")
    while True:
        wait = None if due == float("inf") else max(0.0, due - time.monotonic())
        ready, _, _ = select.select([server, *clients], [], [], wait)
        now = time.monotonic()
        for port in ready:
            for frame in drain(port):
                line = down.get(frame[5]) if port is server else up[port]  # the last MAC byte is the host's number
                if line:
                    line.accept(frame, now)
        now = time.monotonic()
        due = min(line.deliver(now) for line in lines)


if __name__ == "__main__":
    main()
