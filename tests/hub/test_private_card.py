import json
import shutil

import pytest

from hf_ntg.errors import InputError
from hf_ntg.hub.model_card import write_model_card

PRIVACY = {
    "epsilon": 8.0,
    "epsilon_spent": 7.99,
    "delta": 1e-5,
    "unit": "flow",
    "units": 1_234,
    "accountant": "an accountant",
    "sample_rate": 0.05,
    "steps": 150,
    "noise_multiplier": 0.9,
    "clipping_norm": 1.0,
    "class_counts_noise": 3.0,
    "public": ["number of flows", "class names"],
}


@pytest.fixture
def private_model(tiny_gpt2, tmp_path):
    folder = shutil.copytree(tiny_gpt2, tmp_path / "model")
    run = json.loads((folder / "training_run.json").read_text())
    kept = {name: run[name] for name in ("classes", "device", "processes", "environment")}
    (folder / "training_run.json").write_text(json.dumps(kept | {"steps": 150, "privacy": PRIVACY}))
    return folder


def test_the_card_states_the_guarantee(private_model):
    card = write_model_card(private_model, "org/name").read_text(encoding="utf-8")
    for words in ("| epsilon | 7.99 |", "| delta | 1e-05 |", "one flow, of 1,234", "an accountant", "class names"):
        assert words in card
    assert "There is no differential privacy" not in card
    assert "must stay private" not in card
    assert "training flows.\n" not in card


def test_scores_of_real_flows_are_not_published_with_a_private_model(private_model, tmp_path):
    with pytest.raises(InputError, match="without a report"):
        write_model_card(private_model, "org/name", report=tmp_path / "report.json")
    (private_model / "evaluation.json").write_text("{}")
    with pytest.raises(InputError, match=r"evaluation\.json"):
        write_model_card(private_model, "org/name")
