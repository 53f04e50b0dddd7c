"""The files that people are pointed to exist, and the forms and workflows are well-formed."""

import re
import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"(?<![\w/])((?:hf_ntg|tests|scripts|model_cards|\.github|\.ci)/[\w./-]*\w)", GUIDE)))


def test_the_guide_has_a_worked_list_for_each_kind_of_addition():
    for kind in ("a reader", "a metric", "a model family", "a recipe"):
        _, _, section = GUIDE.partition(f"## How to add {kind}\n")
        steps = re.findall(r"^\d\. .*", section.partition("\n## ")[0], flags=re.MULTILINE)
        assert len(steps) >= 4, kind
    assert len(NAMED) > 25


@pytest.mark.parametrize("name", NAMED)
def test_a_named_file_exists(name):
    assert (ROOT / name).exists()


def test_the_picture_shows_the_layers_that_the_test_holds():
    layers = runpy.run_path(str(ROOT / "tests" / "test_layers.py"))["LAYERS"]
    picture = re.search(r"```text\n(.*?)```", GUIDE, flags=re.DOTALL)[1]
    shown = [line.split()[0].rstrip(",") for line in picture.splitlines()][::-1]
    rooms = [names[0] for names in layers if len(names) == 1 and (ROOT / "hf_ntg" / names[0]).is_dir()]
    assert [room for room in shown if room in rooms] == rooms


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / ".github").rglob("*.yml")), ROOT / ".pre-commit-config.yaml", ROOT / ".github/CITATION.cff"],
)
def test_yaml_files_are_well_formed(path):
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_workflow_runs_what_a_contributor_can_run():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["ci"]["steps"]
    assert any(step.get("run") == ".ci/run" for step in steps)
