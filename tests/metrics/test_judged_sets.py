import pytest
from made_flows import table

from hf_ntg.errors import InputError
from hf_ntg.flows.arrays import FlowArrays
from hf_ntg.flows.provenance import Provenance, mark_flows
from hf_ntg.metrics.judged_sets import judged_packets, judged_sets, view_notes

REAL = table(("a", ["+0", "-0", "+5", "-6"]), ("a", ["+0"]), ("a", ["+0", "-7"]))
MADE = table(("a", ["+5", "-6"]), ("a", ["-7"]))


def sets(made):
    return {"train": FlowArrays.from_dataset(REAL), "test": FlowArrays.from_dataset(REAL), "synthetic": made}


def marked(**facts):
    return mark_flows(MADE, Provenance("m", "", 0, **facts))


def test_real_flows_are_judged_in_the_view_of_the_synthetic_ones():
    seen, dropped, view = judged_sets(sets(FlowArrays.from_dataset(marked(view="payload"))), None)
    assert view == "payload"
    assert seen["train"].signed_length.tolist() == [5, -6, -7]
    assert dropped == {"train": 1, "test": 1, "synthetic": 0}
    assert "1 train flows carry no payload and were left out" in view_notes(seen, dropped, 10)[0]


def test_an_unmarked_table_without_empty_packets_is_not_guessed_at():
    unmarked = sets(FlowArrays.from_dataset(MADE))
    with pytest.raises(InputError, match="nothing says which packet view"):
        judged_sets(unmarked, None)
    assert judged_sets(unmarked, "payload")[2] == "payload"
    assert judged_sets(unmarked, "all")[2] == "all"


def test_no_more_packets_are_judged_than_the_generator_makes():
    assert judged_packets(None, MADE) == 10
    assert judged_packets(None, marked(max_packets=6)) == 6
    assert judged_packets(4, marked(max_packets=6)) == 4
    with pytest.raises(InputError, match="at most 6 packets of a flow; judge on 6 or fewer"):
        judged_packets(7, marked(max_packets=6))
    with pytest.raises(InputError, match="at least one packet"):
        judged_packets(0, MADE)
