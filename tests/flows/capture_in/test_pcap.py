import gzip

import made_captures as make
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_in.pcap import CaptureReader, capture_name, read_pcap
from hf_ntg.flows.load import load_flows


@pytest.fixture
def write(tmp_path):
    def write_file(data, name="made.pcap"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write_file


def raw(packets, **options):
    return make.pcap(packets, link=make.RAW_IP, **options)


def test_one_connection(write):
    flows = read_pcap(write(raw(make.conversation([517, -1448, -300, 80]))), label="web")
    assert flows[0] == {
        "flow_id": "made#1",
        "label": "web",
        "protocol": 6,
        "source_port": 40000,
        "destination_port": 443,
        "payload_length": [0, 0, 0, 517, 1448, 300, 80, 0, 0, 0],
        "direction": [1, -1, 1, 1, -1, -1, 1, 1, -1, 1],
        "inter_arrival_time": [0.0] + [pytest.approx(0.01)] * 9,
        "tcp_window": [1000] * 10,
        "packet_count": 10,
        "capture": "made",
    }


def test_gzip_reads_the_same(write):
    data = raw(make.conversation([10, -20]))
    plain, packed = write(data), write(gzip.compress(data), "made.pcap.gz")
    assert read_pcap(plain).to_list() == read_pcap(packed).to_list() == load_flows(packed).to_list()


def test_max_packets_cuts_lists_and_not_the_count(write):
    flows = read_pcap(write(raw(make.conversation([1, 2, 3]))), max_packets=4)
    assert flows[0]["payload_length"] == [0, 0, 0, 1]
    assert flows[0]["packet_count"] == 9


def test_a_capture_cut_off_is_an_error_that_names_the_byte(write):
    data = raw(make.conversation([10, -20]))
    path = write(data[:-7])
    with pytest.raises(InputError, match=r"byte \d+: the file breaks off inside a record .* after 7 whole packets"):
        load_flows(path)
    reader = CaptureReader(path)
    assert sum(batch.flows.offsets[-1] for batch in reader) == 7
    assert reader.broken is not None


@pytest.mark.parametrize("data", [b"", b"\xd4", b"\xd4\xc3\xb2\xa1", b"GARBAGE" * 10, raw([]), b"\x1f\x8b\x08"])
def test_what_is_no_capture_is_one_clear_error(write, data):
    path = write(data)
    with pytest.raises(InputError, match=r"made\.pcap") as caught:
        read_pcap(path)
    assert "\n" not in str(caught.value)


def test_a_missing_capture(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        read_pcap(tmp_path / "none.pcap")


@pytest.mark.parametrize("name", ["a.b.pcap", "a.b.pcapng.gz", "a.b.CAP"])
def test_the_name_of_a_capture(name):
    assert capture_name(f"/some/where/{name}") == "a.b"
