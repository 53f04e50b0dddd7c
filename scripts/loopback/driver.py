"""Plays the client sessions of one client host: ``python -m loopback.driver SERVICE INDEX SEED HOST FOLDER SECONDS``.

Prints one JSON line: sessions played, left out for want of time, and failed by kind of error.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loopback.network import CLIENT_HOSTS, SERVER_ADDRESS
from loopback.services import find
from loopback.workload import Persona, Session


def main() -> None:
    """Play this host's share of the sessions, a few at a time."""
    service_name, index, seed, host, folder, seconds = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    persona, service = Persona(service_name, int(index), int(seed)), find(service_name)
    end = time.monotonic() + float(seconds)

    def play(number: int) -> bool:
        if time.monotonic() > end:
            return False
        session = Session(persona, persona.rng("session", number), SERVER_ADDRESS, Path(folder), number)
        session.think(0.3, 0.8)
        service.session(session)
        return True

    with ThreadPoolExecutor(service.workers) as pool:
        futures = [pool.submit(play, number) for number in range(int(host), service.sessions, CLIENT_HOSTS)]
    errors = Counter(type(future.exception()).__name__ for future in futures if future.exception())
    late = sum(future.exception() is None and not future.result() for future in futures)
    print(json.dumps({"sessions": len(futures), "late": late, "errors": errors}), flush=True)
    for future in futures:
        if future.exception():
            print(repr(future.exception())[:300], file=sys.stderr)


if __name__ == "__main__":
    main()
