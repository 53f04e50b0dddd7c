"""The model that the package brings."""

from importlib import resources
from pathlib import Path

import numpy as np

from hf_ntg import FlowGenerator, load_flows
from hf_ntg.model_files import check_model_folder, model_folder
from hf_ntg.training.initial_model import initial_settings

FOLDER = Path(str(resources.files("hf_ntg"))) / "models" / "bundled" / "loopback"


def test_it_is_a_small_gpt2_of_the_bundled_flows():
    assert model_folder("loopback") == FOLDER
    assert check_model_folder(FOLDER) == "causal"
    assert initial_settings("loopback")["model"] == "gpt2"
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 6_000_000
    assert not [path.name for path in FOLDER.iterdir() if path.suffix not in (".json", ".safetensors", ".md")]


def test_it_generates_flows_of_the_bundled_classes_without_a_network():
    generator = FlowGenerator.from_pretrained("loopback")
    assert set(generator.labels) == set(load_flows("loopback")["label"])
    flows = generator.generate(50, label="https", seed=0)
    assert set(flows["label"]) == {"https"}
    assert np.concatenate([np.asarray(lengths) for lengths in flows["payload_length"]]).min() > 0


def test_its_card_names_its_data_and_its_licence():
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert "Loopback services" in card
