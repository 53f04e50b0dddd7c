"""Make the bundled data set: run real servers and clients on wires of our own, capture them, cut them into flows.

    python scripts/capture_loopback.py --work WORK --output hf_ntg/flows/bundled/loopback.parquet

Every service is captured several times, each time in network namespaces of its own, with a persona of its own
(clients, content, distance, rate and loss of the wires) drawn from the seed. Workloads are therefore the same in every
run; timing is real, so two runs never agree to the bit. A capture that WORK already holds is not made again. Nothing
leaves the namespaces, and leaving the script, by Ctrl-C too, ends its programs and deletes them. Needs root on Linux.

It needs the Debian 12 packages of `PROGRAMS` and, beside hf_ntg, the Python packages of `MODULES` (``--help`` lists
both as commands); where one is missing it says so and ends.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, disable_progress_bars
from loopback.network import CLIENT_HOSTS, ENVIRONMENT, Lab
from loopback.services import NAMES, find
from loopback.workload import Persona

from hf_ntg.files import replacing, write_text
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.capture_in.pcap import read_pcap

PROGRAMS = {  # Debian package: a program of it
    "bind9-dnsutils": "dig",
    "chrony": "chronyd",
    "curl": "curl",
    "dnsmasq": "dnsmasq",
    "dovecot-imapd": "dovecot",
    "ethtool": "ethtool",
    "ffmpeg": "ffmpeg",
    "git": "git",
    "iproute2": "ip",
    "isync": "mbsync",
    "knot-dnsutils": "kdig",
    "ldap-utils": "ldapsearch",
    "ldnsutils": "drill",
    "lftp": "lftp",
    "libcoap3-bin": "coap-client-notls",
    "libmemcached-tools": "memccat",
    "mariadb-client": "mariadb-slap",
    "mariadb-server": "mariadbd",
    "memcached": "memcached",
    "mosquitto": "mosquitto",
    "mosquitto-clients": "mosquitto_pub",
    "netcat-openbsd": "nc",
    "nghttp2-client": "nghttp",
    "libnginx-mod-stream": "nginx",
    "nginx": "nginx",
    "ngircd": "ngircd",
    "ntpsec-ntpdig": "ntpdig",
    "openssh-client": "sftp",
    "openssh-server": "sshd",
    "postfix": "smtp-source",
    "postgresql": "pgbench",
    "redis-server": "redis-server",
    "redis-tools": "redis-benchmark",
    "rsync": "rsync",
    "slapd": "slapd",
    "snmp": "snmpbulkwalk",
    "snmpd": "snmpd",
    "swaks": "swaks",
    "tcpdump": "tcpdump",
    "unbound": "unbound",
    "vsftpd": "vsftpd",
    "wget": "wget",
}
MODULES = {  # Python package: a module of it
    "aiocoap": "aiocoap",
    "aiohttp": "aiohttp",
    "aioquic": "aioquic",
    "aiosmtpd": "aiosmtpd",
    "asyncpg": "asyncpg",
    "cryptography": "cryptography",
    "dnspython": "dns",
    "dulwich": "dulwich",
    "httpx[http2]": "h2",
    "ldap3": "ldap3",
    "ntplib": "ntplib",
    "paho-mqtt": "paho",
    "paramiko": "paramiko",
    "pg8000": "pg8000",
    "psycopg[binary]": "psycopg",
    "pyftpdlib": "pyftpdlib",
    "pymemcache": "pymemcache",
    "PyMySQL": "pymysql",
    "redis": "redis",
    "requests": "requests",
    "websocket-client": "websocket",
    "websockets": "websockets",
}

MAX_PACKETS = 32
_OPEN: set[Lab] = set()
_STOPPING = threading.Event()


def main() -> None:
    """Capture what is missing, then join everything into one Parquet file."""
    disable_progress_bars()
    options = _options()
    _check_machine()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    personas = [Persona(name, index, options.seed) for index in range(options.captures) for name in options.services]
    todo = [persona for persona in personas if not _flows_file(options.work, persona).exists()]
    print(f"{len(personas)} captures, {len(todo)} to make, {options.jobs} at a time", file=sys.stderr)
    pool = ThreadPoolExecutor(options.jobs)
    futures = {pool.submit(capture, persona, options): persona for persona in todo}
    failed = []
    try:
        for done, future in enumerate(as_completed(futures), 1):
            persona, error = futures[future], future.exception()
            if error:
                failed.append(persona.capture)
            said = f"failed: {error!r}" if error else future.result()
            print(f"[{done}/{len(todo)}] {persona.capture}: {said}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        _STOPPING.set()
        pool.shutdown(wait=False, cancel_futures=True)
        for lab in list(_OPEN):
            lab.end_programs()
        pool.shutdown()
        sys.exit("stopped; run the same command again to go on")
    if failed:
        sys.exit(f"{len(failed)} captures failed ({', '.join(failed)}); run the same command again to retry them")
    join([_flows_file(options.work, persona) for persona in personas], options.output)


def capture(persona: Persona, options: argparse.Namespace) -> str:
    """Make one capture and its flow table; give a line that says what came of it."""
    service, began = find(persona.service), time.monotonic()
    folder = options.work / "captures" / persona.capture
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pcap = folder / "traffic.pcap"
    if _STOPPING.is_set():
        raise InterruptedError(persona.capture)
    with Lab(persona, folder) as lab:
        _OPEN.add(lab)
        try:
            service.start(lab)
            dump = lab.record(pcap)
            arguments = [persona.service, persona.index, persona.seed]
            with (folder / "driver.log").open("wb") as log:
                drivers = [
                    subprocess.Popen(
                        lab.inside_client(
                            host, sys.executable, "-m", "loopback.driver", *arguments, host, folder, options.seconds
                        ),
                        env=ENVIRONMENT,
                        stdout=subprocess.PIPE,
                        stderr=log,
                        start_new_session=True,
                    )
                    for host in range(CLIENT_HOSTS)
                ]
                reports = [json.loads(driver.communicate()[0] or "{}") for driver in drivers]
            time.sleep(1.0)  # the last packets are still on the wire
            dump.send_signal(signal.SIGINT)
            dump.wait()
        finally:
            _OPEN.discard(lab)
    if _STOPPING.is_set() or not all(reports):
        raise InterruptedError(f"{persona.capture}: a client driver ended early, see {folder / 'driver.log'}")
    flows, dropped = cut(pcap, persona)
    with replacing(_flows_file(options.work, persona)) as scratch:
        flows.to_parquet(scratch)
    errors = sum((Counter(report["errors"]) for report in reports), Counter())
    report = {
        "flows": len(flows),
        "dropped": dropped,
        "late": sum(report["late"] for report in reports),
        "errors": errors,
        "seconds": round(time.monotonic() - began),
    }
    write_text(folder / "report.json", json.dumps(report))
    return json.dumps(report)


def cut(pcap: Path, persona: Persona) -> tuple[Dataset, dict[str, int]]:
    """The service's flows of a capture, labelled, and how many others were dropped and why."""
    service = find(persona.service)
    flows = read_pcap(pcap, capture=persona.capture, max_packets=MAX_PACKETS)
    arrays = FlowArrays.from_dataset(flows)
    labels = np.full(len(arrays), None, dtype=object)
    for protocol, first, last, label in service.ports:
        port = arrays.destination_port
        labels[(arrays.protocol == protocol) & (port >= first) & (port <= last)] = label
    kept = []
    for label in sorted({row[3] for row in service.ports}):
        rows = np.flatnonzero(labels == label)
        persona.rng("cut", label).shuffle(rows)
        kept.extend(sorted(rows[: service.flows]))
    dropped = {"other": int((labels == None).sum()), "surplus": int((labels != None).sum()) - len(kept)}  # noqa: E711
    rows = np.array(kept, dtype=np.int64)
    names = [f"{persona.capture}/{number:03d}" for number in range(len(rows))]
    arrays = dataclasses.replace(
        arrays.take(rows),
        label=labels[rows],
        flow_id=np.array(names, dtype=object),
        inter_arrival_time=_microseconds(arrays.take(rows).inter_arrival_time),
    )
    return arrays.to_dataset(), dropped


def join(files: list[Path], output: Path) -> None:
    """Write the flows of all `files` as one small Parquet file."""
    flows = pa.concat_tables([pq.read_table(file) for file in files])
    with replacing(output) as scratch:
        pq.write_table(flows, scratch, compression="zstd", compression_level=19)
    print(f"{output}: {len(flows)} flows, {output.stat().st_size:,} bytes")


def _microseconds(seconds: np.ndarray) -> np.ndarray:
    return np.round(seconds.astype(np.float64), 6).astype(np.float32)


def _flows_file(work: Path, persona: Persona) -> Path:
    return work / "flows" / f"{persona.capture}.parquet"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"apt-get install {' '.join(PROGRAMS)}\n\npip install {' '.join(map(repr, MODULES))}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for captures and what is done so far")
    parser.add_argument("--output", type=Path, required=True, help="the Parquet file to write")
    parser.add_argument(
        "--services", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME", help="default: all"
    )
    parser.add_argument("--captures", type=int, default=7, help="captures a service (default 7)")
    parser.add_argument("--jobs", type=int, default=8, help="captures at a time (default 8)")
    parser.add_argument("--seconds", type=float, default=70, help="no session starts later than this (default 70)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work = options.work.resolve()
    return options


def _check_machine() -> None:
    """End with one line where a program, a package or a right is missing."""
    if sys.platform != "linux" or os.geteuid():
        sys.exit("capture_loopback: needs root on Linux (namespaces, ports below 1024)")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/lib/openssh:/usr/lib/postgresql/15/bin"
    absent = [package for package, program in PROGRAMS.items() if not shutil.which(program, path=path)]
    if absent:
        sys.exit(f"capture_loopback: missing programs; apt-get install {' '.join(absent)}")
    absent = [package for package, module in MODULES.items() if importlib.util.find_spec(module) is None]
    if absent:
        sys.exit(f"capture_loopback: missing Python packages; pip install {' '.join(absent)}")


if __name__ == "__main__":
    main()
