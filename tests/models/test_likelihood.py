import numpy as np
import pytest
from every_sentence import TIMES, every_sentence, probability, tiny_model

from hf_ntg import FlowGenerator, InputError
from hf_ntg.codecs.tokenization_flow import EncodedFlows
from hf_ntg.models.likelihood import sentence_log_likelihood


def encoded(sentences) -> EncodedFlows:
    offsets = np.cumsum([0, *map(len, sentences)])
    return EncodedFlows(np.concatenate(sentences).astype(np.int32), offsets)


@pytest.mark.parametrize(
    ("family", "changes"),
    [("gpt2", {}), ("llama", {"time_knots": TIMES}), ("mamba", {"protocols": (6,), "ports": (53,)})],
)
def test_probabilities_of_all_sentences_of_a_class_sum_to_one(family, changes):
    model, grammar = tiny_model(family, **changes)
    sentences = list(every_sentence(grammar, 1))
    found = sentence_log_likelihood(model, grammar, encoded(sentences))
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-4)
    some = range(0, len(sentences), max(1, len(sentences) // 7))
    known = [np.log(probability(model, grammar, sentences[k], temperature=1)) for k in some]
    assert found[list(some)] == pytest.approx(known, abs=2e-3)  # float32 against float64


def test_packets_alone_leave_out_header_and_times():
    model, grammar = tiny_model("gpt2", protocols=(6, 17), ports=(53,), time_knots=TIMES)
    sentences = [s for s in every_sentence(grammar, 0) if s[:3] == next(every_sentence(grammar, 0))[:3]]
    shares = np.exp(sentence_log_likelihood(model, grammar, encoded(sentences), packets_only=True))
    per_packets = {}
    for sentence, share in zip(sentences, shares, strict=True):
        end = sentence.index(grammar.end_of_packets)
        per_packets.setdefault(sentence[:end], set()).add(round(share, 5))
    assert all(len(found) == 1 for found in per_packets.values())
    assert sum(found.pop() for found in per_packets.values()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("folder", ["tiny_gpt2", "tiny_mamba"])
def test_a_flow_has_one_likelihood_whatever_stands_beside_it(folder, flows, request):
    generator = FlowGenerator.from_pretrained(request.getfixturevalue(folder))
    some = flows.select(range(40))
    together = generator.log_likelihood(some)
    alone = [generator.log_likelihood(some.select([k]))[0] for k in range(0, 40, 9)]
    assert together[::9] == pytest.approx(alone, abs=1e-4)
    assert (generator.sampler.log_likelihood(some, packets_only=True) > together).all()
    odd = some.map(lambda row: {"payload_length": [1400 + k for k in range(len(row["payload_length"]))]})
    assert generator.log_likelihood(odd).mean() < together.mean()
    with pytest.raises(InputError, match="class 'chat'"):
        generator.log_likelihood(some.map(lambda row: {"label": "chat"}))
