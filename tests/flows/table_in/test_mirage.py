import gzip
import io
import json
import zipfile

import pytest
from mirage_files import NAME, NAME_2022, flow, key

from hf_ntg.errors import InputError
from hf_ntg.flows.table_in import json_stream, table_file
from hf_ntg.flows.table_in.mirage import MirageReader


def read(path, **options):
    reader = MirageReader(path, **options)
    return [row for batch in reader for row in batch.flows.to_dataset().to_list()], reader


@pytest.fixture
def write(tmp_path):
    def write_flows(flows, name=NAME):
        path = tmp_path / name
        path.write_text(json.dumps(flows))
        return path

    return write_flows


def test_a_flow(write):
    rows, reader = read(write({key(): flow()}))
    name = NAME.removesuffix(".json")
    assert rows == [
        {
            "flow_id": f"{name}#1",
            "label": "com.app.one",
            "protocol": 6,
            "source_port": 4000,
            "destination_port": 443,
            "payload_length": [0, 1448, 517],
            "direction": [1, -1, 1],
            "inter_arrival_time": [0, 0.25, 0.5],
            "tcp_window": [65535, 1, 2],
            "packet_count": 40,
            "capture": name,
        }
    ]
    assert reader.broken is None


@pytest.mark.parametrize("name", [NAME, NAME_2022, "1670836390_1e:65:95:7e:34:0b_com.app.one_mirage2020dataset_x.json"])
@pytest.mark.parametrize(
    ("background", "labels"),
    [
        ("label", ["com.app.one", "background", "background"]),
        ("drop", ["com.app.one"]),
        ("keep", ["com.app.one", "com.other", "com.app.one"]),
    ],
)
def test_background_is_what_is_not_the_app_under_test(write, name, background, labels):
    flows = {key(1): flow(), key(2): flow("com.other"), key(3): flow(BF_activity="Unknown")}
    rows, reader = read(write(flows, name), background=background)
    assert [row["label"] for row in rows] == labels
    assert reader.skipped.get("background", 0) == 3 - len(labels)


@pytest.mark.parametrize(("labelling", "ports"), [("all", [1, 2]), ("exact", [1]), ("most-common", [2])])
def test_both_labelling_policies(write, labelling, ports):
    rows, _ = read(write({key(1): flow(), key(2): flow(way="most-common")}), labelling=labelling)
    assert [row["source_port"] for row in rows] == ports


def test_a_name_that_tells_no_app_is_said(write):
    rows, reader = read(write({key(): flow()}, "some.json"))
    assert rows[0]["label"] == "com.app.one"
    assert any("name does not tell" in remark for remark in reader.noticed)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (flow(directions=()), "no packets"),
        (flow(directions=(0, 2)), "a direction that is neither of the two"),
        ({"flow_metadata": {}}, "no packet_data or flow_metadata"),
        (7, "no packet_data or flow_metadata"),
        (json.loads(json.dumps(flow()).replace("517", "-5")), "a payload length that is not 0 to 65535"),
        (json.loads(json.dumps(flow()).replace("517", '"x"')), "a packet list that is no list of numbers"),
        (json.loads(json.dumps(flow()).replace("[0, 0.25, 0.5]", "[0]")), "packet lists of unequal length"),
        (json.loads(json.dumps(flow()).replace("0.25", "1e400")), "an inter-arrival time that is not finite"),
        (json.loads(json.dumps(flow()).replace('"packet_dir"', '"dir"')), "a packet list is missing"),
    ],
)
def test_a_bad_flow_is_counted_and_the_others_are_read(write, bad, reason):
    rows, reader = read(write({key(1): bad, key(2): flow()}))
    assert [row["source_port"] for row in rows] == [2]
    assert reader.skipped == {reason: 1}


@pytest.mark.parametrize(("with_times", "is_kept"), [(1, False), (30, True)])
def test_flows_without_times(write, with_times, is_kept):
    bare = json.loads(json.dumps(flow()).replace('"iat"', '"cat"'))
    rows, reader = read(write({key(0): bare} | {key(port): flow() for port in range(1, with_times + 1)}))
    assert all((row.get("inter_arrival_time") is not None) == is_kept for row in rows)
    assert len(rows) == with_times + (not is_kept)
    assert reader.skipped == ({"a packet list is missing": 1} if is_kept else {})
    assert is_kept or any("without times" in remark for remark in reader.noticed)


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_streaming_reads_the_same(write, monkeypatch, chunk):
    path = write({key(port): flow() for port in range(30)})
    whole, _ = read(path)
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    monkeypatch.setattr(table_file, "BATCH", 4)
    assert read(path)[0] == whole
    assert len(list(MirageReader(path))) == 8


def test_a_file_cut_off_keeps_what_lies_before(write):
    path = write({key(port): flow() for port in range(10)})
    path.write_bytes(path.read_bytes()[:-5])
    rows, reader = read(path)
    assert len(rows) == 9
    assert "character" in str(reader.broken)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a" 1}', '{"a":1 "b"}', "[" * 100_000, '{"a":' + "[" * 100_000, "\udc80"]
)
def test_what_is_not_mirage_is_broken(tmp_path, text):
    path = tmp_path / NAME
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    rows, reader = read(path)
    assert not rows
    assert reader.broken is not None
    assert "\n" not in str(reader.broken)


def test_gzip_and_zip_and_zips_in_a_zip(tmp_path, write):
    plain = write({key(): flow()})
    (tmp_path / f"{NAME}.gz").write_bytes(gzip.compress(plain.read_bytes()))
    assert read(tmp_path / f"{NAME}.gz")[0] == read(plain)[0]
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(f"Teams/{NAME_2022}", json.dumps({key(5): flow()}))
    with zipfile.ZipFile(tmp_path / "mirage.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"device/{NAME}", plain.read_bytes())
        archive.writestr("device/Teams.zip", inner.getvalue())
        archive.writestr("device/readme.txt", "hello")
    rows, _ = read(tmp_path / "mirage.zip")
    assert [row["source_port"] for row in rows] == [4000, 5]
    assert rows[0]["capture"] == f"device/{NAME.removesuffix('.json')}"


def test_a_flow_of_2022_with_all_its_lists(write):
    """Every packet, more lists than are read, and no window where there is no TCP."""
    made = flow(BF_activity="Chat", BF_sublabel="", BF_device="a0:b1", UF_mss=1460)
    made["packet_data"] |= {"timestamp": [1.5, 1.75, 2.25], "TCP_flags": ["S", "SA", "A"], "is_clear": [0, 0, 1]}
    made["packet_data"] |= {"heuristic": "tls", "annotations": {"0": "x"}, "L4_header_bytes": [40, 40, 20]}
    datagrams = json.loads(json.dumps(made))
    datagrams["packet_data"]["TCP_win_size"] = [float("nan")] * 3
    rows, reader = read(write({key(): made, "10.0.0.1,4001,10.0.0.2,443,17": datagrams}, NAME_2022))
    assert [row["payload_length"] for row in rows] == [[0, 1448, 517]] * 2
    assert [row["tcp_window"] for row in rows] == [[65535, 1, 2], [0, 0, 0]]
    assert [row["label"] for row in rows] == ["com.app.one"] * 2
    assert not reader.skipped


def test_a_damaged_file_in_a_zip_stops_no_other(tmp_path):
    whole = json.dumps({key(): flow()})
    with zipfile.ZipFile(tmp_path / "mirage.zip", "w") as archive:
        for place, text in enumerate((whole[:-5], whole, "[", whole)):
            archive.writestr(f"{place}/{NAME}", text)
        archive.writestr("inner.zip", "PK no zip")
    rows, reader = read(tmp_path / "mirage.zip")
    assert [row["capture"][0] for row in rows] == ["1", "3"]
    assert str(reader.broken).endswith("(and 2 more damaged parts of this zip)")


def test_a_damaged_zip_is_broken(tmp_path):
    path = tmp_path / "mirage.zip"
    path.write_bytes(b"PK\3\4" + bytes(50))
    assert "zip" in str(read(path)[1].broken)


@pytest.mark.parametrize("options", [{"labelling": "best"}, {"background": "ignore"}, {"max_packets": 0}])
def test_unknown_options(tmp_path, options):
    with pytest.raises(InputError):
        MirageReader(tmp_path / NAME, **options)
