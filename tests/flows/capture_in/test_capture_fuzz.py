import importlib
from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "scripts"


def test_captures_in_random_conventions_read_back_alike(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module = importlib.import_module("fuzz_captures")
    assert module.run(count=20, seed=7) == 0, capsys.readouterr().out
