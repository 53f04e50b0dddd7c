import json

import made_captures as make
import pytest
from command_line import run
from mirage_files import NAME, flow, key
from typer.testing import CliRunner

from hf_ntg.cli import app
from hf_ntg.errors import InputError
from hf_ntg.flows import load_flows
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.reading_options import ReadingOptions


@pytest.fixture
def sources(tmp_path):
    """Two folders with captures of one name, one with a MIRAGE file and something else."""
    for place, folder in enumerate(("web", "mail")):
        (tmp_path / "in" / folder).mkdir(parents=True)
        capture = make.pcap(make.conversation([100 + place, -200]), link=make.RAW_IP)
        (tmp_path / "in" / folder / "one.pcap").write_bytes(capture)
    (tmp_path / "in" / NAME).write_text(json.dumps({key(): flow()}))
    (tmp_path / "in" / "notes.txt").write_text("hello")
    return tmp_path / "in"


def test_a_folder_of_everything(sources, tmp_path):
    read = []
    options = ReadingOptions(labels=LabelRules(folder=True))
    report = import_flows(
        [sources], tmp_path / "out.parquet", options, progress=lambda total, count: read.append((total, count))
    )
    flows = load_flows(tmp_path / "out.parquet")
    assert flows["capture"] == [NAME.removesuffix(".json"), "mail/one", "web/one"]
    assert flows["label"] == ["com.app.one", "mail", "web"]
    assert report.flows == 3
    assert report.left_out == 1
    assert {total for total, _ in read} == {sum(file.path.stat().st_size for file in report.files)}
    assert sum(count for _, count in read) >= read[0][0]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out.parquet"}


def test_flows_without_a_label_are_left_out_and_counted(sources, tmp_path):
    options = ReadingOptions(labels=LabelRules(pattern="in/(web)/"), labelled_only=True)
    report = import_flows([sources], tmp_path / "out.parquet", options)
    assert load_flows(tmp_path / "out.parquet")["label"] == ["com.app.one", "web"]
    assert (report.flows, report.classes[None]) == (2, 0)
    assert "skipped 1: flows without a label" in report.remarks()
    options = ReadingOptions(labelled_only=True)
    with pytest.raises(InputError, match=r"no flows in .*: skipped 2: flows without a label"):
        import_flows([sources / "web", sources / "mail"], tmp_path / "none.parquet", options)


def test_the_number_of_processes_does_not_matter(sources, tmp_path):
    for processes in (1, 2):
        import_flows([sources], tmp_path / f"{processes}.parquet", num_proc=processes)
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_a_broken_file_stops_no_other_and_what_lies_before_is_kept(sources, tmp_path):
    whole = (sources / "web" / "one.pcap").read_bytes()
    (sources / "web" / "one.pcap").write_bytes(whole[:-5])
    (sources / "web" / "junk.pcap").write_bytes(b"junk")
    report = import_flows([sources], tmp_path / "out.parquet")
    assert [file.path.name for file in report.broken] == ["junk.pcap", "one.pcap"]
    assert load_flows(tmp_path / "out.parquet")["packet_count"] == [40, 8, 7]
    assert sum("broken" in line for line in report.remarks()) == 2


def test_nothing_at_all_is_an_error(tmp_path):
    (tmp_path / "junk.pcap").write_bytes(b"junk")
    (tmp_path / "none.pcap").write_bytes(make.pcap([]))
    with pytest.raises(InputError, match="neither pcap nor pcapng"):
        import_flows([tmp_path / "junk.pcap", tmp_path / "none.pcap"], tmp_path / "out.parquet")
    with pytest.raises(InputError, match="no flows"):
        import_flows([tmp_path / "none.pcap"], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_addresses_are_not_stored_and_hashes_are_keyed(sources, tmp_path):
    capture = sources / "web" / "one.pcap"

    def hashes(key):
        options = ReadingOptions(keep_addresses="hashed", address_key=key)
        import_flows([capture, sources / "mail"], tmp_path / "out.parquet", options)
        flows = load_flows(tmp_path / "out.parquet")
        return flows["source_hash"], flows["destination_hash"]

    (one, same), (other, _) = hashes(b"key")
    assert one == same != other
    assert hashes(b"key")[0][0] == one
    assert hashes(b"another")[0][0] != one
    assert hashes(b"")[0][0] != hashes(b"")[0][0]
    import_flows([capture], tmp_path / "plain.parquet")
    assert not {"source_hash", "source"} & set(load_flows(tmp_path / "plain.parquet").column_names)


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ({"keep_addresses": "plain"}, {}),
        ({}, {"num_proc": 0}),
        ({"labels": LabelRules(pattern="(")}, {}),
        ({"max_packets": 0}, {}),
    ],
)
def test_wrong_options(sources, tmp_path, options, more):
    with pytest.raises(InputError):
        import_flows([sources], tmp_path / "out.parquet", ReadingOptions(**options), **more)


def test_the_command(sources, tmp_path):
    output = tmp_path / "flows.parquet"
    result = CliRunner().invoke(
        app, ["import", str(sources), "--output", str(output), "--label", "x", "--max-packets", "3"]
    )
    assert result.exit_code == 0, result.output
    assert "3 flows from 3 files" in result.output
    assert {len(lengths) for lengths in load_flows(output)["payload_length"]} == {3}
    (sources / "web" / "one.pcap").write_bytes(b"junk")
    assert CliRunner().invoke(app, ["import", str(sources), "--output", str(output)]).exit_code == 3  # read in part


def test_the_command_on_nothing_says_one_line(tmp_path, monkeypatch, capsys):
    status, _, said = run(monkeypatch, capsys, "import", tmp_path / "none", "--output", tmp_path / "out.parquet")
    assert status == 2
    assert said.strip().splitlines() == [f"ntg: {tmp_path / 'none'}: no such file or folder"]
