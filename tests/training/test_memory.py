import numpy as np
import pytest
from made_flows import table

from hf_ntg.codecs import FlowTokenizer
from hf_ntg.training.memory import OnceSeen


def once_seen(flows, **options):
    tokenizer = FlowTokenizer.fit(flows, max_packets=4, **options)
    sentences, row = np.unique(tokenizer.encode_flows(flows).padded(), axis=0, return_inverse=True)
    captures = np.array(flows["capture"], dtype=object) if "capture" in flows.column_names else None
    return OnceSeen(tokenizer.grammar, sentences, row.ravel(), tokenizer.pad_token_id, captures)


def labels_of(encoded):
    return encoded.ids[encoded.offsets[:-1]]


A, B, C = ["+10", "-20"], ["+10", "-30"], ["+40"]


def test_flows_seen_twice_are_the_estimate():
    flows = table(("web", A), ("web", A), ("web", B), ("web", C), ("dns", C), ("dns", C), ("dns", A), ("dns", A))
    assert once_seen(flows).expected == pytest.approx(2 * 3 / 8)


def test_each_capture_is_compared_with_the_others_where_they_are_known():
    flows = [("web", A), ("web", A), ("web", B), ("web", C), ("web", B), ("web", C)]
    # A occurs twice in one capture. B occurs once in each of two captures, and so does C.
    known = once_seen(table(*flows, capture=["a", "a", "a", "a", "b", "b"]))
    assert known.expected == pytest.approx((2 * 3 / 6 + 4 / 6) / 2)
    assert once_seen(table(*flows, capture=["a"] * 6)).expected == pytest.approx(2 * 3 / 6)


def test_copies_are_the_probability_of_the_flows_seen_once():
    flows = table(("web", A), ("web", B), ("web", C), ("dns", A))
    found = once_seen(flows)
    assert found.expected == 1 / 4  # the smallest share that four flows can show
    # Each flow has a third of its class, or all of it.
    assert found.copies(lambda s: np.log(np.where(labels_of(s) == labels_of(s).max(), 1 / 3, 1.0))) == pytest.approx(
        1.0
    )
    assert found.copies(lambda s: np.full(len(s), -50.0)) == pytest.approx(0.0)


def test_headers_and_times_make_no_other_flow():
    options = {"protocol": [6, 17, 6], "destination_port": [443, 53, 443]}
    flows = table(("web", A, [0, 0.1]), ("web", A, [0, 0.4]), ("web", B, [0, 0.2]), **options)
    found = once_seen(flows)
    assert found.expected == pytest.approx(2 / 3)
    lengths = []
    found.copies(lambda s: lengths.append(s.lengths) or np.zeros(len(s)))
    assert lengths[0].tolist() == [8]  # label, two header tokens, two packets, their end, a time, the end


def test_a_table_of_recurring_flows_has_no_memory():
    found = once_seen(table(*[("web", A)] * 3))
    assert found.copies(lambda s: np.zeros(len(s))) == 0.0


def test_of_many_a_sample_stands_for_all(monkeypatch):
    monkeypatch.setattr("hf_ntg.training.memory.MOST_MEASURED", 10)
    found = once_seen(table(*[("web", [f"+{length}"]) for length in range(1, 41)]))
    assert found.copies(lambda s: np.full(len(s), -np.log(80))) == pytest.approx(0.5)
