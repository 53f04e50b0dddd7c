"""Voice: RTP audio."""

from __future__ import annotations

import json
import random
import socket

from loopback.network import Lab
from loopback.workload import Service, Session

__all__ = ["SERVICES"]

_RTP_PORTS = (20_000, 29_998)
_CODECS = {  # ffmpeg's encoder, sampling rate, further options
    "pcmu": ("pcm_mulaw", 8000, ()),
    "pcma": ("pcm_alaw", 8000, ()),
    "g722": ("g722", 16_000, ()),
    "opus": ("libopus", 48_000, ("-application", "voip")),
    "opus-music": ("libopus", 48_000, ("-application", "audio", "-vbr", "on")),
    "speex": ("libspeex", 16_000, ("-vbr", "1")),
    "g726": ("adpcm_g726", 8000, ()),
}


def _start_rtp(lab: Lab) -> None:
    """The far end of calls: a program that gets its orders over TCP, and has ffmpeg send it."""
    lab.spawn_python("programs", "far-end")
    lab.wait_for(7000)


def _call(session: Session) -> None:
    """A call of a second or two: both ends send, in a quarter of the calls only the client does."""
    rng = session.rng
    first, second = (session.client(*_CODECS) for _ in range(2))
    port = 20_000 + 2 * ((session.number * 13 + rng.randrange(8)) % 4999)
    seconds = rng.uniform(0.9, 2.4)
    near = _media_command(rng, first, seconds, session.server, port, port)
    with socket.create_connection((session.server, 7000), timeout=5) as wire:
        address = wire.getsockname()[0]
        far = _media_command(rng, first if rng.random() < 0.7 else second, seconds, address, port, port)
        wire.sendall(json.dumps(far if rng.random() < 0.75 else []).encode() + b"\n")
        session.run(*near)


def _media_command(rng: random.Random, codec: str, seconds: float, address: str, port: int, local: int) -> list[str]:
    """The ffmpeg command that sends speech-like noise as RTP from port `local`."""
    encoder, rate, extra = _CODECS[codec]
    frame = rng.choice([10, 20, 20, 20, 40] if encoder != "libspeex" else [20])
    sound = rng.choice(
        [
            f"anoisesrc=color=brown:seed={rng.getrandbits(20)}:r={rate},tremolo=f={rng.uniform(2, 9):.2f}:d=0.95",
            f"aevalsrc=sin({rng.randint(300, 3000)}*t)*sin({rng.uniform(2, 20):.2f}*t)+0.1*random(0):s={rate}",
            f"sine=f={rng.randint(90, 900)}:r={rate},tremolo=f={rng.uniform(1, 6):.2f},vibrato=f=7",
            f"anoisesrc=color=pink:a=0.3:seed={rng.getrandbits(20)}:r={rate},"
            f"volume='if(gt(sin({rng.uniform(3, 12):.2f}*t),0),1,0.01)':eval=frame",
        ]
    )
    options = list(extra)
    if encoder == "libopus":
        frame = rng.choice([10, 20, 20, 40, 60])
        options += [
            "-frame_duration",
            frame,
            "-b:a",
            f"{rng.choice([8, 12, 16, 24, 32, 64])}k",
            "-vbr",
            rng.choice(["on", "on", "constrained", "off"]),
        ]
        options += ["-fec:a", rng.choice([0, 1]), "-packet_loss:a", rng.choice([0, 10])]
    elif encoder == "libspeex":
        options += ["-cbr_quality", rng.randint(3, 9)]
    else:
        options += ["-code_size", rng.randint(2, 5)] if encoder == "adpcm_g726" else []
        sound += f",asetnsamples=n={rate * frame // 1000}:p=0"
    command = [
        "ffmpeg",
        "-v",
        "quiet",
        "-threads",
        1,
        "-re",
        "-f",
        "lavfi",
        "-i",
        sound,
        "-t",
        f"{seconds:.2f}",
        "-ac",
        1,
        "-ar",
        rate,
    ]
    return [
        str(part)
        for part in [
            *command,
            "-c:a",
            encoder,
            *options,
            "-f",
            "rtp",
            f"rtp://{address}:{port}?localrtpport={local}&rtcpport={port + 10_000}&localrtcpport={local + 10_000}",
        ]
    ]


SERVICES = {
    "rtp": Service(_start_rtp, _call, ((17, *_RTP_PORTS, "rtp"),), workers=1),
}
