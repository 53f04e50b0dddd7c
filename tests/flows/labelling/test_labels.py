from pathlib import Path

import made_captures as make
import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_in.pcap import CaptureReader
from hf_ntg.flows.labelling.labels import LabelRules


@pytest.fixture
def batch(tmp_path):
    """Three flows: ports 40000 and 40001 to 443 over TCP, and UDP to 53."""
    packets = make.conversation([10]) + make.conversation([10], start=1, ports=(40001, 443))
    packets.append((3, make.ipv4(make.CLIENT, make.SERVER, 17, make.udp(5000, 53, b"x"))))
    path = tmp_path / "folder" / "mail-01.pcap"
    path.parent.mkdir()
    path.write_bytes(make.pcap(packets, link=make.RAW_IP))
    (found,) = CaptureReader(path, read_sni=True)
    return found, path


def labels(batch, **rules):
    found, path = batch
    return LabelRules(**rules).of_flows(found, path, None).tolist()


def test_no_rule_no_label(batch):
    assert not LabelRules().given
    assert labels(batch) == [None] * 3


def test_one_label_the_folder_or_the_name(batch):
    assert labels(batch, constant="x") == ["x"] * 3
    assert labels(batch, folder=True) == ["folder"] * 3
    assert labels(batch, pattern=r"/([a-z]+)-\d+\.pcap$") == ["mail"] * 3
    assert labels(batch, pattern=r"(\d+)-(?P<label>none)", constant="x") == ["x"] * 3
    assert labels(batch, pattern=r"mail(x?)") == [None] * 3


def test_a_table_of_5_tuples_in_either_direction_and_of_captures(batch, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(
        "capture,source,source_port,destination,destination_port,protocol,label\n"
        f",{make.SERVER},443,{make.CLIENT},40001,tcp,web\n"
        f"other,{make.CLIENT},5000,{make.SERVER},53,17,wrong\n"
        "mail-01.pcap,,,,,,mail\n"
    )
    assert labels(batch, table=table) == ["mail", "web", "mail"]


@pytest.mark.parametrize(
    ("file", "written"),
    [("mail.pcap.gz", "mail.pcap"), ("mail.pcap.gz", "mail.pcap.gz"), ("a\udce9.pcap", "a\\xe9.pcap")],
)
def test_a_table_names_a_capture_with_or_without_its_packing_and_with_escaped_bytes(batch, tmp_path, file, written):
    table = tmp_path / "table.csv"
    table.write_text(f"capture,label\n{written},mail\n")
    found, path = batch
    assert LabelRules(table=table).of_flows(found, path.with_name(file), None).tolist() == ["mail"] * 3


def test_the_name_of_the_file_is_the_label(batch):
    assert labels(batch, file=True) == ["mail-01"] * 3
    assert LabelRules(file=True).of_file(Path("a/Zoom 1.2.pcapng.gz")) == "Zoom 1.2"


def test_lines_of_a_table_that_label_nothing_are_counted(batch, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text(
        "source,source_port,destination,destination_port,protocol,label\n"
        f"{make.CLIENT},40000,{make.SERVER},443,tcp,web\n"
        f"{make.CLIENT},40001,{make.SERVER},443,tcp,chat\n"
        f"{make.SERVER},443,{make.CLIENT},40001,6,mail\n"
        f"{make.CLIENT},1,{make.SERVER},443,tcp,idle\n"
        f"10.0.0.300,1,{make.SERVER},443,tcp,a\n"
        f"www.example.com,1,{make.SERVER},443,tcp,a\n"
        f"{make.CLIENT},http,{make.SERVER},443,tcp,a\n"
        f"{make.CLIENT},2,{make.SERVER},443,tcp,\n"
        f"{make.CLIENT},3,{make.SERVER},443,tcp,  \n"
    )
    found, path = batch
    rules, used = LabelRules(table=table), set()
    assert rules.of_flows(found, path, None, used).tolist() == ["web", None, None]
    said = "\n".join(rules.remarks(used))
    for wanted in (
        "lines that contradict each other and label nothing: 2",
        "lines that have a host name or a wrong address in place of an IP address: 2",
        "lines that have a port that is not 0 to 65535: 1",
        "lines that have no label: 2",
        "lines that fit no flow: 1 (first: line 5",
    ):
        assert wanted in said


def test_a_contradiction_in_captures_and_suffixes(batch, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("capture;label\nmail-01;a\nmail-01;a\nmail-01;b\nmail-02;c\n")
    assert labels(batch, table=table) == [None] * 3
    assert labels(batch, table=table, constant="rest") == ["rest"] * 3


def test_server_name_suffixes_the_longest_holds(batch, tmp_path):
    rules = tmp_path / "sni.csv"
    rules.write_text("suffix,label\nexample.com,site\n*.mail.example.com,mail\n")
    found, _ = batch
    found.sni[:] = ["imap.mail.example.com", "notexample.com", "example.com"]
    assert labels(batch, sni=rules, constant="other") == ["mail", "other", "site"]


def test_what_the_source_says_is_not_overwritten_by_a_constant(batch):
    found, _ = batch
    found.flows.label[0] = "own"
    assert labels(batch, constant="x") == ["own", "x", "x"]


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"constant": " "}, "is blank"),
        ({"pattern": "("}, "not a regular expression"),
        ({"pattern": "abc"}, "brackets"),
        ({"table": Path("none.csv")}, "cannot be opened"),
        ({"sni": Path(__file__)}, "no column"),
    ],
)
def test_rules_that_cannot_be_read(rules, problem):
    with pytest.raises(InputError, match=problem):
        LabelRules(**rules).check()


@pytest.mark.parametrize("line", ["1.2.3.4,x,5.6.7.8,1,6,a", ",,,,,a"])
def test_lines_that_say_nothing(tmp_path, line):
    table = tmp_path / "table.csv"
    table.write_text(f"source,source_port,destination,destination_port,protocol,label\n{line}\n")
    with pytest.raises(InputError, match="line 2"):
        LabelRules(table=table).check()


def test_other_columns_are_named(batch, tmp_path):
    found, path = batch
    (tmp_path / "labels.csv").write_text("src,dst,label\n10.0.0.1,10.0.0.2,web\n")
    with pytest.raises(InputError, match="the columns are src, dst, label; give label and capture, or label, source"):
        LabelRules(table=tmp_path / "labels.csv").of_flows(found, path, None, set())
