import gzip
from pathlib import Path

import pytest
from written_flows import flow, table

from hf_ntg.errors import InputError
from hf_ntg.flows import load_flows, write_pcap
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.labelling.side_table import SideTable, is_side_table
from hf_ntg.flows.reading_options import ReadingOptions

ROWS = [
    flow("+0 -0 +0 +100", label="web"),
    flow("+20 -60", 17, label="dns"),
    flow("+9 -8", 17, label=None),
    flow("+0 -0", label='a, "b"/c'),
]


@pytest.mark.parametrize("per_flow", [False, True])
@pytest.mark.parametrize("source", ["in", "in/folder", "in/folder/x"])
def test_an_exported_folder_comes_back_with_its_labels(tmp_path, per_flow, source):
    path = tmp_path / "in" / "folder" / ("x" if per_flow else "x.pcapng")
    write_pcap(table(*ROWS), path, per_flow=per_flow, rate=1e-3)
    source = path if source.endswith("x") else tmp_path / source
    report = import_flows([source], tmp_path / "back.parquet", ReadingOptions(labels=LabelRules(constant="other")))
    found = load_flows(tmp_path / "back.parquet")["label"]
    assert sorted(found) == ['a, "b"/c', "dns", "other", "web"]
    assert sum("table next to" in line for line in report.remarks()) == 1
    assert not report.left_out


@pytest.mark.parametrize("place", ["/no-such-capture.pcap", "/no-such-folder/x.pcap"])
def test_captures_near_the_root_have_no_table(place):
    assert SideTable.of(Path(place)) is None


def test_a_table_that_the_user_gives_says_more_than_the_one_next_to_the_capture(tmp_path):
    write_pcap(table(*ROWS), tmp_path / "x.pcap")
    (tmp_path / "own.csv").write_text("capture,label\nx,mine\n")
    rules = LabelRules(table=tmp_path / "own.csv")
    import_flows([tmp_path / "x.pcap"], tmp_path / "back.parquet", ReadingOptions(labels=rules))
    assert set(load_flows(tmp_path / "back.parquet")["label"]) == {"mine"}


@pytest.mark.parametrize("name", ["x.pcap.gz", "y.pcap", "y.pcap.gz", "y.pcapng.gz"])
def test_packed_captures_keep_their_labels_and_so_do_those_renamed_with_their_table(tmp_path, name):
    suffix = name.removesuffix(".gz").partition(".")[2]
    write_pcap(table(*ROWS), tmp_path / f"x.{suffix}")
    written = (tmp_path / f"x.{suffix}").read_bytes()
    (tmp_path / f"x.{suffix}").unlink()
    (tmp_path / name).write_bytes(gzip.compress(written) if name.endswith(".gz") else written)
    (tmp_path / "x.flows.csv").rename(tmp_path / f"{name[0]}.flows.csv")
    report = import_flows([tmp_path / name], tmp_path / "back.parquet")
    assert report.classes == {"web": 1, "dns": 1, None: 1, 'a, "b"/c': 1}
    assert "labelled by the table next to them" in " ".join(report.remarks())


def test_packed_captures_of_single_flows_keep_their_labels(tmp_path):
    write_pcap(table(*ROWS), tmp_path / "x", per_flow=True)
    for path in list((tmp_path / "x").rglob("*.pcap")):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    (tmp_path / "x").rename(tmp_path / "y")
    (tmp_path / "x.flows.csv").rename(tmp_path / "y.flows.csv")
    report = import_flows([tmp_path / "y"], tmp_path / "back.parquet")
    assert report.classes == {"web": 1, "dns": 1, None: 1, 'a, "b"/c': 1}


def test_a_table_that_fits_no_flow_leaves_the_labels_of_a_pcapng_file(tmp_path):
    write_pcap(table(*ROWS), tmp_path / "x.pcapng")
    lines = (tmp_path / "x.flows.csv").read_text().splitlines(keepends=True)
    (tmp_path / "x.flows.csv").write_text(lines[0])
    report = import_flows([tmp_path / "x.pcapng"], tmp_path / "back.parquet")
    assert report.classes == {"web": 1, "dns": 1, None: 1, 'a, "b"/c': 1}
    assert "table next to" not in " ".join(report.remarks())


def test_a_table_alone_is_no_source(tmp_path):
    write_pcap(table(*ROWS), tmp_path / "x.pcap")
    assert is_side_table(tmp_path / "x.flows.csv")
    with pytest.raises(InputError, match="a table of labels without packets"):
        import_flows([tmp_path / "x.flows.csv"], tmp_path / "back.parquet")
    (tmp_path / "other.flows.csv").write_text("PPI,APP\n")
    assert not is_side_table(tmp_path / "other.flows.csv")
