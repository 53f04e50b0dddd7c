import bz2
import json
import lzma
import os
import threading
import zipfile

import made_captures as make
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from hf_ntg.errors import InputError
from hf_ntg.flows import load_flows
from hf_ntg.flows.importing import import_flows
from hf_ntg.flows.labelling.labels import LabelRules
from hf_ntg.flows.parquet import open_parquet
from hf_ntg.flows.reading_options import ReadingOptions

CAPTURE = make.pcap(make.conversation([100, -200]), link=make.RAW_IP)
TABLE = {"label": ["a"], "payload_length": [[1, 2]], "direction": [[1, -1]]}


def imported(tmp_path, *sources, **rules):
    report = import_flows(list(sources), tmp_path / "o.parquet", ReadingOptions(labels=LabelRules(**rules)))
    return load_flows(tmp_path / "o.parquet"), report


@pytest.mark.parametrize("suffix", [".pcap.xz", ".pcap.bz2", ".odd"])
def test_packed_captures_by_any_name(tmp_path, suffix):
    path = tmp_path / f"one{suffix}"
    path.write_bytes(bz2.compress(CAPTURE) if suffix == ".pcap.bz2" else lzma.compress(CAPTURE))
    flows, _ = imported(tmp_path, path)
    assert flows["capture"] == ["one" if suffix != ".odd" else "one.odd"]
    assert len(load_flows(path)) == 1


def test_a_zip_of_captures_and_tables(tmp_path):
    archive = tmp_path / "all.zip"
    pq.write_table(pa.table(TABLE), tmp_path / "t.parquet")
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("web/one.pcap", CAPTURE)
        out.writestr("mail/one.pcap", CAPTURE)
        out.writestr("readme.txt", "hello")
        out.writestr("damaged.pcap", CAPTURE[:-3])
        out.write(tmp_path / "t.parquet", "t.parquet")
    flows, report = imported(tmp_path, archive, folder=True)
    assert flows["capture"] == ["damaged", "mail/one", "t", "web/one"]
    assert flows["label"] == ["all", "mail", "a", "web"]
    assert report.left_out == 1
    assert [str(tmp_path) + "/all.zip: damaged.pcap" in file.error for file in report.broken] == [True]
    assert {path.name for path in tmp_path.iterdir()} == {"all.zip", "t.parquet", "o.parquet"}


def test_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for read in (lambda: imported(tmp_path, pipe)[0], lambda: load_flows(pipe)):
        writer = threading.Thread(target=lambda: pipe.write_bytes(CAPTURE))
        writer.start()
        assert len(read()) == 1
        writer.join()


def test_names_in_any_bytes(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / os.fsdecode(b"na\xefve.pcap")).write_bytes(CAPTURE)
    (folder / os.fsdecode(b"bad\xff.pcap")).write_bytes(b"junk")
    flows, report = imported(tmp_path, tmp_path, folder=True)
    assert flows["capture"] == ["caf\\xe9/na\\xefve"]
    assert flows["label"] == ["caf\\xe9"]
    "\n".join([*report.remarks(), report.class_table().plain()]).encode()
    flows, _ = imported(tmp_path, folder / os.fsdecode(b"na\xefve.pcap"), file=True)
    assert flows["label"] == ["na\\xefve"]


def test_globs_and_lists(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.pcap").write_bytes(CAPTURE)
        pq.write_table(pa.table(TABLE), tmp_path / f"{name}.parquet")
    assert imported(tmp_path, str(tmp_path / "*.pcap"))[0]["capture"] == ["a", "b"]
    assert len(load_flows(str(tmp_path / "[ab].parquet"))) == 2
    assert len(load_flows([tmp_path / "a.parquet", tmp_path / "a.pcap"])) == 2
    with pytest.raises(InputError, match="no file fits"):
        load_flows(str(tmp_path / "*.none"))


def test_folders_named_parquet_and_tables_in_memory(tmp_path):
    folder = tmp_path / "flows.parquet"
    folder.mkdir()
    for name in ("part-0.parquet", "part-1.snappy.parquet"):
        pq.write_table(pa.table(TABLE), folder / name)
    assert len(load_flows(folder)) == 2
    assert imported(tmp_path, folder)[1].flows == 2
    assert len(load_flows(Dataset.from_dict(TABLE))) == 1


@pytest.mark.parametrize("name", ["org/ntg-flows", "org/ntg-flows-v1.0", "org/a.b-c_1"])
def test_names_of_the_hub_may_hold_dots(monkeypatch, name):
    asked = []
    monkeypatch.setattr("hf_ntg.flows.load._read_hub", lambda name, *_: asked.append(name) or Dataset.from_dict(TABLE))
    assert len(load_flows(name)) == 1
    assert asked == [name]
    with pytest.raises(InputError, match="no such file"):
        load_flows("data/none.parquet")


def test_parquet_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.parquet"
    count = 200_000
    table = {"label": ["x"] * count, "payload_length": [[0]] * count, "direction": [[1]] * count}
    pq.write_table(pa.table(table), path, compression="zstd")
    monkeypatch.setattr("hf_ntg.flows.parquet.FREE_BYTES", 100_000)
    monkeypatch.setattr("hf_ntg.flows.parquet.MAX_RATIO", 2)
    with pytest.raises(InputError, match="decompression bomb"):
        load_flows(path)
    with pytest.raises(InputError, match="decompression bomb"):
        imported(tmp_path, path)
    monkeypatch.undo()
    long = {**TABLE, "label": ["x" * 200_000]}
    pq.write_table(pa.table({name: value * 50 for name, value in long.items()}), path)
    with open_parquet(path) as file:
        assert pa.types.is_dictionary(file.schema_arrow.field("label").type)
    with pytest.raises(InputError, match="more than 10,000 characters"):
        load_flows(path)
    flows, report = imported(tmp_path, path)
    assert set(flows["label"]) == {None}
    assert any("10,000 characters" in line for line in report.remarks())


def test_the_import_ends_with_a_table_of_classes(tmp_path):
    (tmp_path / "t.jsonl").write_text("".join(
        json.dumps({"label": label, "payload_length": [1]}) + "\n" for label in ["b", "a", "b", None, ""]
    ))  # fmt: skip
    _, report = imported(tmp_path, tmp_path / "t.jsonl")
    assert [line.split() for line in report.class_table().plain().splitlines()] == [
        ["class", "flows"], ["b", "2"], ["a", "1"], ["(no", "label)", "2"]
    ]  # fmt: skip


@pytest.mark.parametrize("label", ["=cmd|x", "a\tb", "$\\frac$", "مرحبا", "x" * 5000, " a ", "NULL", "a/b\\c"])
def test_labels_are_kept_exactly(tmp_path, label):
    (tmp_path / "t.jsonl").write_text(json.dumps({"label": label, "payload_length": [1]}))
    assert imported(tmp_path, tmp_path / "t.jsonl")[0]["label"] == [label]
    (tmp_path / "one.pcap").write_bytes(CAPTURE)
    assert imported(tmp_path, tmp_path / "one.pcap", constant=label)[0]["label"] == [label]
