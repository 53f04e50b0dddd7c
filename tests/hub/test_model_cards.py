"""The cards that are kept with the recipes: valid, and saying what their figures say."""

import json
from pathlib import Path

import pytest
from hub_cards import card_errors
from huggingface_hub import ModelCard

from hf_ntg.hub import refuse_private

KEPT = sorted(Path(__file__).parents[2].glob("model_cards/ntg-*/README.md"))


@pytest.mark.parametrize("path", KEPT, ids=[path.parent.name for path in KEPT])
def test_a_kept_card_is_valid_and_holds_its_figures(path):
    text = path.read_text(encoding="utf-8")
    assert card_errors(text, "model") == []
    card = ModelCard(text)
    evaluation = json.loads((path.parent / "evaluation.json").read_text(encoding="utf-8"))
    assert card.data.model_name == path.parent.name
    for result in card.data.eval_results:
        values = evaluation["metrics"][result.metric_type]["values"]
        assert result.metric_value == round(values["synthetic"], 4)
    assert "a trial run" not in text
    for column in ("real", "replay", "4-gram"):
        assert f" {column} |" in text


def test_what_is_kept_may_be_published(tmp_path):
    for path in KEPT:
        for name in ("README.md", "evaluation.json"):
            (tmp_path / name).write_bytes((path.parent / name).read_bytes())
        refuse_private(tmp_path, "model")
