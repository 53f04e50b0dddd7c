import csv

import pytest
from datasets import Dataset

from hf_ntg.flows import conform_flows, import_flows, load_flows, write_pcap
from hf_ntg.flows.spreadsheet import guarded, unguarded


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@a", "\t=1", "'quoted", "'=a", "web", "", "a=b"])
def test_no_text_is_a_formula_and_each_comes_back(text):
    written = guarded(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert unguarded(written) == text


def test_the_table_beside_a_capture_holds_no_formula_and_gives_the_labels_back(tmp_path):
    labels = ["=cmd|' /C calc'!A0", "'x", "web"]
    flow = {"payload_length": [[100, 200]] * 3, "direction": [[1, -1]] * 3, "protocol": [6] * 3, "label": labels}
    write_pcap(conform_flows(Dataset.from_dict(flow), "made"), tmp_path / "x.pcap")
    with (tmp_path / "x.flows.csv").open(newline="", encoding="utf-8") as file:
        assert {line["label"] for line in csv.DictReader(file)} == {"'=cmd|' /C calc'!A0", "''x", "web"}
    import_flows([tmp_path / "x.pcap"], tmp_path / "x.parquet")
    assert sorted(load_flows(tmp_path / "x.parquet")["label"]) == sorted(labels)
