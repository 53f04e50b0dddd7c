"""Models of so few sentences that all can be listed, and the probability of each by whole forward passes."""

import itertools

import numpy as np
import torch

from hf_ntg import FlowTokenizer
from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.codecs.time_bins import PARTS
from hf_ntg.models.causal_lm import build_causal_lm

SMALL = {"labels": ("a", "b"), "label_counts": (1, 1), "max_packets": 2, "max_payload": 1}
TIMES = tuple(np.geomspace(0.001, 0.1, PARTS + 1))  # one bin after that of zero


def tiny_model(family, **changes):
    grammar = FlowGrammar(**(SMALL | changes))
    model = build_causal_lm(family, FlowTokenizer.from_format(grammar), seed=3).eval()
    for parameter in model.parameters():  # far from uniform, so that a wrong mask or temperature shows
        parameter.data.mul_(3)
    return model, grammar


def every_sentence(grammar, label):
    """All sentences of a class that the grammar allows, by brute force."""
    blocks = grammar.blocks
    heads = [()]
    if grammar.has_header:
        ids = [range(blocks[kind].start, blocks[kind].stop) for kind in ("protocol", "port")]
        heads = list(itertools.product(*ids))
    packets = range(blocks["packet"].start, blocks["packet"].stop)
    times = range(blocks["time"].start, blocks["time"].stop)
    for head, count in itertools.product(heads, range(1, grammar.max_packets + 1)):
        for body in itertools.product(packets, repeat=count):
            tails = itertools.product(times, repeat=count - 1) if grammar.has_times else [None]
            for tail in tails:
                middle = () if tail is None else (grammar.end_of_packets, *tail)
                yield (blocks["label"].start + label, *head, *body, *middle, grammar.eos)


def probability(model, grammar, sentence, temperature):
    """Of a sentence given its label: masked, tempered next-token probabilities from whole forward passes."""
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([sentence]), use_cache=False).logits[0].double() / temperature
    blocks, total, packets = grammar.blocks, 0.0, 0
    for place, token in enumerate(sentence[1:], start=1):
        timed = grammar.has_times and grammar.end_of_packets in sentence[:place]
        if place < grammar.prefix_length:
            allowed = blocks["protocol" if place == 1 else "port"]
        elif not timed:
            allowed = grammar.allowed_packets(packets)
            packets += 1
        elif place < len(sentence) - 1:
            allowed = blocks["time"]
        else:
            allowed = blocks["eos"]
        total += torch.log_softmax(scores[place - 1, allowed], dim=0)[token - allowed.start].item()
    return np.exp(total)
