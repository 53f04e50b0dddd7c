import numpy as np
import pytest
from written_flows import flow, table

from hf_ntg.flows import FlowArrays
from hf_ntg.flows.capture_out.tcp_roles import Closing, Opening, TcpRoles
from hf_ntg.flows.schema import UDP

LETTERS = {0x02: "S", 0x12: "SA", 0x10: "A", 0x11: "FA", 0x14: "RA", 0x00: "-"}


def roles_of(*rows: dict) -> TcpRoles:
    flows = FlowArrays.from_dataset(table(*rows))
    return TcpRoles.of(flows, flows.protocol != UDP)


def letters(roles: TcpRoles) -> str:
    return " ".join(LETTERS[flag] for flag in roles.flags.tolist())


@pytest.mark.parametrize(
    ("packets", "flags", "opening", "closing"),
    [
        ("+0 -0 +0 +517 -1448", "S SA A A A", Opening.HANDSHAKE, Closing.OPEN),
        ("+0 -0 +517 -100", "S SA A A", Opening.HANDSHAKE, Closing.OPEN),  # the third packet brings data
        ("+0 +0 -0 -0 +0", "S S SA SA A", Opening.HANDSHAKE, Closing.OPEN),  # both sent again
        ("+0", "S", Opening.UNANSWERED, Closing.OPEN),
        ("+0 +0 +0", "S S S", Opening.UNANSWERED, Closing.OPEN),
        ("+0 -0", "S RA", Opening.REFUSED, Closing.OPEN),
        ("+0 +0 -0", "S S RA", Opening.REFUSED, Closing.OPEN),
        ("+0 -0 -0", "A A RA", Opening.NONE, Closing.RESET),
        ("+5 -7", "A A", Opening.NONE, Closing.OPEN),
        ("-0 +0 +9", "A A A", Opening.NONE, Closing.OPEN),
        ("+0 -9 +0", "A A A", Opening.NONE, Closing.OPEN),  # data is no SYN ACK
        ("+0 -0 +0 +9 -9 +0 -0 +0", "S SA A A A FA FA A", Opening.HANDSHAKE, Closing.FIN),
        ("+0 -0 +0 -9 +0 +0 -0", "S SA A FA A FA A", Opening.HANDSHAKE, Closing.FIN),  # FIN on data
        ("+0 -0 +0 -9 -0 +0 +0 -0", "S SA A A FA A FA A", Opening.HANDSHAKE, Closing.FIN),
        ("+0 -0 +0 -0 +0", "S SA FA FA A", Opening.HANDSHAKE, Closing.FIN),
        ("+0 -0 +0 -0", "S SA A A", Opening.HANDSHAKE, Closing.OPEN),  # the SYN ACK cannot bear the other FIN
        ("+0 -0 +0 +9 -9 +0", "S SA A A A A", Opening.HANDSHAKE, Closing.OPEN),  # just the ACK of data
        ("+0 -0 +0 -9 -0 +0 +0", "S SA A A A A RA", Opening.HANDSHAKE, Closing.RESET),
        ("+0 -0 +0 +0", "S SA A RA", Opening.HANDSHAKE, Closing.RESET),
        ("+8 -0 +0", "FA FA A", Opening.NONE, Closing.FIN),
    ],
)
def test_roles(packets, flags, opening, closing):
    roles = roles_of(flow(packets))
    assert letters(roles) == flags
    assert (roles.opening[0], roles.closing[0]) == (opening, closing)


@pytest.mark.parametrize(
    ("windows", "closing"),
    [([9, 9, 9, 9, 0], Closing.RESET), ([9, 9, 9, 0, 9], Closing.OPEN), ([0] * 5, Closing.OPEN)],
)
def test_an_empty_last_packet_without_a_window_is_a_reset(windows, closing):
    roles = roles_of(flow("+0 -0 +0 -9 +0", tcp_window=windows))
    assert roles.closing[0] == closing
    assert letters(roles).split()[-1] == ("RA" if closing == Closing.RESET else "A")


def test_flows_that_are_cut_do_not_close():
    roles = roles_of(flow("+0 -0 +0 +9 -0 +0", packet_count=7), flow("+0 -0", packet_count=7))
    assert roles.closing.tolist() == [Closing.OPEN, Closing.OPEN]
    assert letters(roles) == "S SA A A A A S SA"


def test_udp_has_no_roles():
    roles = roles_of(flow("+0 -0 +0", UDP), flow("+0 -0 +0"))
    assert letters(roles) == "- - - S SA A"
    assert roles.opening.tolist() == [Opening.NONE, Opening.HANDSHAKE]


def test_flows_do_not_touch_each_other():
    rows = [flow("+0"), flow("-0 +0 +9"), flow("+0 -0 +0 -0 +0"), flow("+5"), flow("+0 -0")]
    together = roles_of(*rows)
    apart = [roles_of(row) for row in rows]
    assert together.flags.tolist() == np.concatenate([roles.flags for roles in apart]).tolist()
    assert together.numbers.tolist() == np.concatenate([roles.numbers for roles in apart]).tolist()
