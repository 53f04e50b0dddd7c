import os
import signal
import subprocess
import sys
import time

import pytest

from hf_ntg import InputError
from hf_ntg.workers import worker_pool


def nothing():
    pass


def kill_worker():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_one_line():
    with pytest.raises(InputError, match="a worker process was killed"), worker_pool(1, nothing) as pool:
        pool.submit(kill_worker).result()


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, signal, time\n"
        "from hf_ntg.workers import worker_pool\n"
        "if __name__ == '__main__':\n"
        "    with worker_pool(2, int) as pool:\n"
        "        print(*{pool.submit(os.getpid).result() for _ in range(4)}, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, timeout=60)
    workers = [int(word) for word in done.stdout.split()]
    assert workers
    deadline = time.monotonic() + 10
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_running(worker) for worker in workers)


def is_running(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
