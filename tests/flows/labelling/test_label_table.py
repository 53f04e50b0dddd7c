import ipaddress

import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.labelling.label_table import RuleTable, endpoints_of_line, read_rules, rule_name

LINE = {"source": "10.0.0.1", "source_port": "1024", "destination": "10.0.0.2", "destination_port": "53"}


def packed(text):
    return ipaddress.ip_address(text).packed


@pytest.mark.parametrize("protocol", ["udp", "UDP", "17"])
def test_both_directions_of_a_line_are_one_key(protocol):
    there = endpoints_of_line(LINE | {"protocol": protocol})
    back = {"source": "10.0.0.2", "source_port": "53", "destination": "10.0.0.1", "destination_port": "1024"}
    assert there == endpoints_of_line(back | {"protocol": protocol})
    assert there == (17, frozenset({(packed("10.0.0.1"), 1024), (packed("10.0.0.2"), 53)}))
    assert rule_name(("a", there)) == "capture a, 10.0.0.1 port 1024 and 10.0.0.2 port 53, protocol 17"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"source": ""}, "incomplete 5-tuple"),
        ({"source": "example.org"}, "host name or a wrong address"),
        ({"source_port": "65536"}, "not 0 to 65535"),
        ({"source_port": "-1"}, "not 0 to 65535"),
        ({"protocol": "256"}, "neither tcp, udp nor a number"),
    ],
)
def test_a_line_without_a_5_tuple_has_a_reason(changed, reason):
    with pytest.raises(ValueError, match=reason):
        endpoints_of_line(LINE | {"protocol": "tcp"} | changed)


def test_lines_that_contradict_each_other_label_nothing():
    rules = RuleTable()
    for line, label in enumerate(("web", "web", "mail", "web"), start=2):
        rules.add("key", "name", label, line)
    assert rules.labels == {}
    assert rules.line_of == {}
    assert rules.problems == {"contradict each other and label nothing": 3}
    assert rules.first == "line 4: contradicts an earlier line"


def test_lines_without_a_label_are_counted(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("capture,label\na,web\nb,\n", encoding="utf-8")
    rules = RuleTable()
    assert list(read_rules(path, {"label"}, rules)) == [(2, {"capture": "a", "label": "web"})]
    assert rules.problems == {"have no label": 1}
    with pytest.raises(InputError, match="no column host"):
        list(read_rules(path, {"host"}, rules))
