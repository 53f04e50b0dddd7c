"""The state of one open flow, and the store of packets; test_assembler.py holds the rules over whole captures."""

import numpy as np
import pytest

from hf_ntg.flows.capture_in.biflow import Biflow, PacketStore
from hf_ntg.flows.capture_in.packets import ACK, FIN, RST, SYN


def tcp_flow(number=0, side=0):
    words = np.zeros(5, np.uint64)
    words[4] = 6 << 8
    return Biflow(words.tobytes(), number, side)


def test_who_began_a_connection():
    flow = tcp_flow()
    assert flow.protocol == 6
    flow.begin_tcp(0, SYN | ACK, 500, 101)  # the SYN was not captured
    assert (flow.initiator, flow.syn_seen, flow.first_sequence) == (1, False, (500, 100))
    flow.learn_syn(1, SYN, 100)
    assert (flow.initiator, flow.syn_seen) == (1, True)


@pytest.mark.parametrize(
    ("flags", "sequence", "closed", "belongs"),
    [
        (SYN, 100, True, True),  # a retransmission, even after the end
        (SYN, 999, False, False),  # the port is used again
        (SYN | ACK, 7, False, True),  # it acknowledges the first number of this side
    ],
)
def test_a_syn_belongs_by_its_number(flags, sequence, closed, belongs):
    flow = tcp_flow()
    flow.begin_tcp(0, SYN | (FIN if closed else 0), 100, 0)
    side = 1 if flags & ACK else 0
    assert flow.admits_syn(side, flags, sequence, 101) == belongs


def test_a_side_without_a_number_takes_a_syn_unless_the_flow_has_ended():
    for flags, belongs in ((ACK, True), (RST, False)):
        flow = tcp_flow()
        flow.begin_tcp(0, flags, 100, 1)
        flow.first_sequence = (None, flow.first_sequence[1])
        assert flow.admits_syn(0, SYN, 5, 0) == belongs


def test_packets_come_out_flow_by_flow_and_in_order_of_time():
    store, flows = PacketStore(), [tcp_flow(3), tcp_flow(8)]
    column = np.arange(5)
    store.add(np.array([8, 3, 4, 3, 8]), np.array([50, 40, 30, 20, 60]), column, column, column)
    batch = store.take(flows)
    assert batch.offsets.tolist() == [0, 2, 4]
    assert batch.time.tolist() == [20, 40, 50, 60]
    assert batch.length.tolist() == [3, 1, 0, 4]
    assert store.take([tcp_flow(4)]).time.tolist() == [30]  # what was not asked for stays
