import pytest
from datasets import concatenate_datasets
from typer.testing import CliRunner
from written_flows import flow, table, truth

from hf_ntg import InputError
from hf_ntg.cli import app
from hf_ntg.flows import load_flows, save_flows
from hf_ntg.flows.capture_in.pcap import read_pcap
from hf_ntg.flows.provenance import Provenance, mark_flows, provenance_of
from hf_ntg.flows.stream import in_pieces, stream_flows


def test_a_parquet_file_comes_in_pieces(tmp_path):
    flows = table(*[flow(f"+{size + 1}", flow_id=str(size)) for size in range(25)])
    save_flows(flows, tmp_path / "x.parquet")
    pieces = list(stream_flows(tmp_path / "x.parquet", flows_at_once=10))
    assert max(map(len, pieces)) <= 10
    assert [name for piece in pieces for name in piece["flow_id"]] == flows["flow_id"][:]


@pytest.mark.parametrize("rows", [None, range(1, 24, 2), range(24, -1, -1)])
def test_pieces_of_a_table_are_written_as_the_table(tmp_path, rows):
    mark = Provenance("4-gram", "sha256:0", 3)
    parts = [table(*[flow(f"+{size + 1}", flow_id=str(size)) for size in some]) for some in (range(12), range(12, 25))]
    flows = mark_flows(concatenate_datasets(parts), [mark])
    flows = flows if rows is None else flows.select(rows)
    for name, given in (("whole", flows), ("pieces", in_pieces(flows, 10))):
        save_flows(given, tmp_path / f"{name}.parquet")
    found = load_flows(tmp_path / "pieces.parquet")
    assert found.to_dict() == load_flows(tmp_path / "whole.parquet").to_dict()
    assert provenance_of(found) == (mark,)


def test_broken_and_missing_files(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"x\.parquet: not a readable Parquet file"):
        list(stream_flows(tmp_path / "x.parquet"))
    with pytest.raises(InputError, match="no such file"):
        list(stream_flows(tmp_path / "y.parquet"))


def test_export(tmp_path):
    save_flows(table(flow("+0 -0 +0 +5"), flow("+7", 17, "dns")), tmp_path / "x.parquet")
    made = CliRunner().invoke(app, ["export", str(tmp_path / "x.parquet"), "--output", str(tmp_path / "x.pcapng")])
    assert made.exit_code == 0, made.output
    assert "2 flows (1 TCP), 8 packets" in made.output
    assert len(read_pcap(tmp_path / "x.pcapng")) == 2
    assert {line["label"] for line in truth(tmp_path / "x.flows.csv")} == {"web", "dns"}, "classes interleave in time"
    folder = tmp_path / "flows"
    made = CliRunner().invoke(app, ["export", str(tmp_path / "x.pcapng"), "--output", str(folder), "--per-flow"])
    assert made.exit_code == 0, made.output
    assert sorted(path.name for path in folder.rglob("*.pcap")) == ["00000000.pcap", "00000001.pcap"]
