import importlib.util
from pathlib import Path


def test_tables_in_random_conventions_read_back_alike(capsys):
    place = Path(__file__).parents[3] / "scripts" / "fuzz_tables.py"
    spec = importlib.util.spec_from_file_location("fuzz_tables", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.run(count=60, seed=7) == 0, capsys.readouterr().out
