import pytest

from hf_ntg import InputError
from hf_ntg.launch import launched_share, parse_share


def test_share_of_a_process(monkeypatch):
    assert parse_share("3/8") == (3, 8)
    for wrong in ("8/8", "3", "-1/4", "a/b", "1/0"):
        with pytest.raises(InputError, match="i/n"):
            parse_share(wrong)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert launched_share() == (2, 4)
