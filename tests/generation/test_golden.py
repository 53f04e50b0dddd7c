"""Guards drift of the libraries: a model with fixed weights draws the flows that it always drew.

The flows in ``golden.json`` were drawn with torch 2.13, transformers 5.24 and NumPy 2. Another release may round
otherwise: one flow in a hundred may differ, and times by one part in 100,000. This file, run as a program, writes
``golden.json`` anew.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_ntg.codecs import FlowGrammar, FlowTokenizer
from hf_ntg.generation import FlowGenerator
from hf_ntg.generation.causal import CausalSampler
from hf_ntg.models import CAUSAL_FAMILIES, build_causal_lm

GOLDEN = Path(__file__).with_name("golden.json")
NUM_FLOWS = 100


def drawn(family):
    """What a model of `family` with weights from a sine draws."""
    knots = tuple(np.geomspace(1e-4, 10, 5 * 9).tolist())
    grammar = FlowGrammar(("a", "b"), (3, 2), 5, 40, protocols=(6, 17), ports=(53, 443), time_knots=knots)
    tokenizer = FlowTokenizer.from_format(grammar)
    model = build_causal_lm(family, tokenizer).eval()
    with torch.no_grad():
        for number, (name, weight) in enumerate(model.named_parameters()):
            wave = np.sin(np.arange(weight.numel(), dtype=np.float64) * (0.7 + 0.01 * number))
            scale, offset = (0.1, 1.0) if weight.ndim == 1 and name.endswith("weight") else (0.1, 0.0)
            weight.copy_(torch.from_numpy(offset + scale * wave).reshape(weight.shape))
    flows = FlowGenerator(CausalSampler(model, tokenizer)).generate(NUM_FLOWS, seed=1)
    lengths = [np.multiply(*pair).tolist() for pair in zip(flows["payload_length"], flows["direction"], strict=True)]
    times = [round(sum(row), 9) for row in flows["inter_arrival_time"]]
    return {"packets": lengths, "duration": times, "source_port": list(flows["source_port"])}


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_a_model_draws_what_it_always_drew(family):
    found, golden = drawn(family), json.loads(GOLDEN.read_text())[family]
    same = [a == b for a, b in zip(found["packets"], golden["packets"], strict=True)]
    assert sum(same) >= 0.99 * NUM_FLOWS
    assert found["source_port"] == golden["source_port"]
    near = np.isclose(found["duration"], golden["duration"], rtol=1e-5)
    assert near.sum() >= 0.99 * NUM_FLOWS


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({family: drawn(family) for family in CAUSAL_FAMILIES}) + "\n")
    sys.exit()
