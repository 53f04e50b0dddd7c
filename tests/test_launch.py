import os
import socket

import pytest

from hf_ntg import InputError
from hf_ntg.launch import launched_share, living_launcher, parse_share


def test_share_of_a_process(monkeypatch):
    assert parse_share("3/8") == (3, 8)
    for wrong in ("8/8", "3", "-1/4", "a/b", "1/0"):
        with pytest.raises(InputError, match="i/n"):
            parse_share(wrong)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launched_share() == (2, 4)


def test_a_process_whose_launcher_has_ended_does_not_wait_for_it(monkeypatch):
    assert living_launcher() is None
    with socket.socket() as store:
        store.bind(("127.0.0.1", 0))
        store.listen()
        names = {"RUN_ID": "x", "USE_AGENT_STORE": "True"}
        for name, value in names.items():
            monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(store.getsockname()[1]))
        assert living_launcher() == os.getppid()
    with pytest.raises(InputError, match="has ended"):
        living_launcher()
