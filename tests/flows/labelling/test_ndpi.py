"""Labels by nDPI, through nfstream."""

import made_captures as make
import pytest

from hf_ntg.flows import load_flows
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.reading_options import ReadingOptions

pytestmark = pytest.mark.interop


def test_ndpi_labels_what_it_reads_and_a_damaged_capture_stops_no_other(tmp_path):
    pytest.importorskip("nfstream", reason="nfstream is not installed (pip install nfstream)")
    query = bytes.fromhex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
    answer = query[:2] + b"\x81\x80" + query[4:]
    ends = (make.CLIENT, make.SERVER)
    packets = [(0, make.ipv4(*ends, 17, make.udp(40000, 53, query)))]
    packets += [(0.1, make.ipv4(*ends[::-1], 17, make.udp(53, 40000, answer)))]
    whole = make.pcap(packets, link=make.RAW_IP)
    (tmp_path / "a.pcap").write_bytes(whole)
    (tmp_path / "b.pcap").write_bytes(b"\xd4\xc3\xb2\xa1")
    rules = ReadingOptions(labels=LabelRules(ndpi=True))
    report = import_flows([tmp_path / "a.pcap", tmp_path / "b.pcap"], tmp_path / "out.parquet", rules)
    assert load_flows(tmp_path / "out.parquet")["label"] == ["DNS"]
    assert [file.path.name for file in report.broken] == ["b.pcap"]
    assert any("nDPI could not read" in remark for remark in report.remarks())
