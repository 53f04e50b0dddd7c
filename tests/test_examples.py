"""The example programs and the notebook run from top to bottom, with short trainings."""

import json
import runpy
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

EXAMPLES = Path(__file__).parents[1] / "scripts" / "examples"
SMALL = {
    "captures_to_figure": ["--output", "out", "--epochs", "1"],
    "few_labels": ["--few", "3", "--per-class", "5", "--epochs", "1"],
    "fine_tuning": ["--flows", "own.parquet", "--output", "out", "--base-epochs", "1", "--epochs", "1"],
}
PRINTED = {"captures_to_figure": "packets.pdf", "few_labels": "all real flows", "fine_tuning": "from scratch"}


def test_every_program_and_the_notebook_are_tried():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(SMALL)
    assert len(list(EXAMPLES.glob("*.ipynb"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_program_runs(name, tmp_path, monkeypatch, capsys, flows):
    monkeypatch.chdir(tmp_path)
    flows.to_parquet("own.parquet")
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *SMALL[name]])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert PRINTED[name] in capsys.readouterr().out


@pytest.mark.slow
def test_the_notebook_runs_cell_by_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    (path,) = EXAMPLES.glob("*.ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells), "clear the outputs before committing"
    names = {"__name__": "__main__"}
    for cell in cells:
        source = "".join(cell["source"])
        exec(compile(source.replace("max_steps=200", "max_steps=1"), cell["id"], "exec"), names)
    assert "Jensen-Shannon" in repr(names["result"])
    assert len(names["synthetic"]) == 2_000
