import importlib.util
import sys
from pathlib import Path


def test_captures_in_random_conventions_read_back_alike(monkeypatch, capsys):
    place = Path(__file__).parents[3] / "scripts" / "fuzz_captures.py"
    spec = importlib.util.spec_from_file_location("fuzz_captures", place)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # where its data classes look for it
    spec.loader.exec_module(module)
    assert module.run(count=20, seed=7) == 0, capsys.readouterr().out
