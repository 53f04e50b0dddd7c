import numpy as np

from hf_ntg.codecs.time_bins import TimeBins
from hf_ntg.codecs.tokenization_flow import FlowTokenizer
from hf_ntg.privacy.public_words import PUBLIC_PORTS, public_grammar, public_time_knots

SETTINGS = {"max_packets": 6, "max_payload": 1_460, "header": True, "times": True, "time_bins": 16, "view": "payload"}


def test_time_bins_are_equally_wide_on_a_log_scale():
    bins = TimeBins(public_time_knots(16))
    assert len(bins) == 16
    assert np.allclose(np.diff(np.log(bins.edges)), np.log(bins.edges[1] / bins.edges[0]))
    assert bins.of(np.array([0.0, 1e-7, 2e-6, 1e9])).tolist() == [0, 0, 1, 15]
    times = bins.draw(np.arange(16), np.full(16, 0.5))
    assert bins.of(times).tolist() == list(range(16))


def test_ports_are_ascending_and_none_twice():
    assert list(PUBLIC_PORTS) == sorted(set(PUBLIC_PORTS))


def test_a_grammar_follows_the_settings():
    grammar = public_grammar(["a", "b"], [1, 2], **SETTINGS)
    assert grammar.has_header
    assert grammar.has_times
    assert len(set(grammar.words())) == len(grammar.words()) == len(FlowTokenizer.from_format(grammar))
    bare = public_grammar(["a"], [1], **SETTINGS | {"header": False, "times": False})
    assert not bare.has_header
    assert not bare.has_times


def test_words_of_a_public_model_are_taken(flows):
    public = FlowTokenizer.fit(flows, view="payload", max_packets=4).grammar
    grammar = public_grammar(["a", "b"], [1, 2], public=public, **SETTINGS)
    assert grammar.ports == public.ports
    assert grammar.time_knots == public.time_knots
    assert grammar.labels == ("a", "b")
    assert grammar.max_packets == 6
    assert public_grammar(["a"], [1], public=public, **SETTINGS | {"header": False}).ports == ()
