import bz2
import gzip
import json
import lzma

import pyarrow as pa
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.table_in import records as module
from hf_ntg.flows.table_in.records import header_of, records
from hf_ntg.flows.table_in.tabular import TableReader
from hf_ntg.flows.table_in.totals import totals_of

ROWS = [{"label": "a", "sizes": "1 2"}, {"label": "b;,|", "sizes": "3"}]


def zstd(data):
    return pa.Codec("zstd").compress(data, asbytes=True)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_separators_and_byte_order_marks(tmp_path, separator, encoding):
    text = separator.join(ROWS[0]) + "\r\n" + "".join(f'"{r["label"]}"{separator}{r["sizes"]}\r\n' for r in ROWS)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    assert header_of(path) == ["label", "sizes"]
    assert list(records(path)) == ROWS


@pytest.mark.parametrize(
    "before", ["sep=;\r\n", "SEP=;\n\n", "# made by a tool, version 1\n#\n", "\n \n", "\ufeffsep=;\n", "# a;b;c\n"]
)
def test_lines_before_the_header(tmp_path, before):
    path = tmp_path / "t.csv"
    path.write_text(before + "label;sizes\na;1 2\nb;,|\n", encoding="utf-8")
    assert header_of(path) == ["label", "sizes"]
    assert list(records(path)) == [{"label": "a", "sizes": "1 2"}, {"label": "b", "sizes": ",|"}]


def test_a_header_with_a_number_sign(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("#label,sizes\na,1 2\n#b,3\n")
    assert header_of(path) == ["#label", "sizes"]
    assert list(records(path)) == [{"#label": "a", "sizes": "1 2"}, {"#label": "#b", "sizes": "3"}]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, lambda data: data])
@pytest.mark.parametrize("form", ["lines", "array"])
def test_json_tables(tmp_path, pack, form):
    text = "\n".join(map(json.dumps, ROWS)) if form == "lines" else json.dumps(ROWS, indent=1)
    path = tmp_path / "t.json"
    path.write_bytes(pack(text.encode()))
    assert header_of(path) == ["label", "sizes"]
    assert list(records(path)) == ROWS


def test_a_bad_line_is_one_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n1,2\n1,2,3\n\xff,2\n3,4\n")
    assert list(records(path)) == [{"a": "1", "b": "2"}, module.BAD_ROW, module._BAD_TEXT, {"a": "3", "b": "4"}]
    path.write_text('{"a": 1}\n{"a": \n[1]\n{"a": 2}\n')
    assert list(records(path)) == [{"a": 1}, module._BAD_JSON, module._BAD_JSON, {"a": 2}]


def test_a_cell_of_any_size_and_a_line_that_is_too_long(tmp_path, monkeypatch):
    path = tmp_path / "t.csv.gz"
    sizes = [[1, 2], [5] * 100_000, [3], [4]]
    path.write_bytes(gzip.compress(("payload_length\n" + "".join(f'"{one}"\n' for one in sizes)).encode()))
    reader = TableReader(path, {}, max_packets=10)
    flows = [row for batch in reader for row in batch.flows.to_dataset().to_list()]
    assert [row["payload_length"] for row in flows] == [[1, 2], [5] * 10, [3], [4]]
    assert flows[1]["packet_count"] == 100_000
    monkeypatch.setattr(module, "_MAX_LINE", 1000)
    reader = TableReader(path, {})
    assert sum(len(batch) for batch in reader) == 3
    assert reader.skipped == {module._TOO_LONG: 1}


TOTALS = {
    "CICFlowMeter": "Flow ID,Src IP,Src Port,Flow Duration,Tot Fwd Pkts,Tot Bwd Pkts,TotLen Fwd Pkts,Label",
    "CICFlowMeter of 2017": " Destination Port, Flow Duration, Total Fwd Packets, Total Backward Packets,Label",
    "Zeek": "#separator \\x09\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tproto",
    "nfdump": "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt",
    "NetFlow": "IPV4_SRC_ADDR,L4_SRC_PORT,IN_BYTES,IN_PKTS,OUT_BYTES,OUT_PKTS,Label",
    "IPFIX": "sourceIPv4Address,octetDeltaCount,packetDeltaCount",
    "Argus": "StartTime,Dur,Proto,SrcAddr,Sport,DstAddr,Dport,State,TotPkts,TotBytes,Label",
    "UNSW-NB15": "dur,proto,service,state,spkts,dpkts,sbytes,dbytes,label",
    "Suricata": "timestamp,event_type,src_ip,dest_ip,flow",
    "Tstat": "#31#c_ip:1 c_port:2 c_pkts_all:3 c_bytes_all:9 s_ip:15",
}


@pytest.mark.parametrize("header", TOTALS.values(), ids=TOTALS)
def test_tables_of_totals_are_named(tmp_path, header):
    from hf_ntg.flows.reading_options import ReadingOptions

    path = tmp_path / "t.csv"
    path.write_text(header + "\n" + ",".join(["1"] * header.count(",")) + ",1\n")
    for columns in ({}, {"label": "Label"}):
        reader = ReadingOptions(columns=columns).reader(path, "t", lambda count: None)
        with pytest.raises(InputError, match="flow totals, not packets; import the capture"):
            list(reader)


def test_totals_in_json_and_as_a_mapped_column(tmp_path):
    from hf_ntg.flows.reading_options import ReadingOptions

    path = tmp_path / "conn.json"
    path.write_text('{"ts":1.0,"uid":"Ca","id.orig_h":"192.0.2.10"}\n{"ts":2.0,"uid":"Cb","id.orig_h":"192.0.2.10"}\n')
    with pytest.raises(InputError, match=r"Zeek conn.log\) holds flow totals"):
        list(ReadingOptions().reader(path, "t", lambda count: None))
    path = tmp_path / "t.csv"
    path.write_text("TotLen Fwd Pkts,Label\n597,a\n12,b\n")
    with pytest.raises(InputError, match="one number a row"):
        list(TableReader(path, {"payload_length": "TotLen Fwd Pkts"}))


@pytest.mark.parametrize("names", [["label", "payload_length", "direction"], ["PPI", "APP", "PACKETS"], ["a", "bytes"]])
def test_tables_of_packets_are_not_totals(names):
    assert totals_of(names) is None
