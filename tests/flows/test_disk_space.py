from collections import namedtuple

import pytest
from made_flows import table

from hf_ntg import InputError
from hf_ntg.flows import save_flows, write_pcap
from hf_ntg.flows.disk_space import FILE_BYTES, flows_in_file, with_space_checked

Usage = namedtuple("Usage", "free")


@pytest.fixture
def flows():
    return table(*[("web", [f"+{k + 1}", f"-{k * 7 % 1_400 + 1}", "+9"]) for k in range(300)])


@pytest.mark.parametrize("name", ["f.parquet", "f.jsonl", "f.csv", "f.pcap", "f.pcapng", "per flow"])
def test_what_fits_is_written_and_what_certainly_does_not_fit_is_refused_at_the_first_table(
    flows, name, tmp_path, monkeypatch
):
    write = save_flows if name.endswith(("parquet", "jsonl", "csv")) else write_pcap
    options = {"per_flow": True} if name == "per flow" else {}
    write(flows, tmp_path / name, **options)
    size = sum(path.stat().st_blocks * 512 for path in [tmp_path / name, *tmp_path.rglob("*.pcap*")] if path.is_file())
    monkeypatch.setattr("shutil.disk_usage", lambda place: Usage(size))
    least = FILE_BYTES if options else 2
    assert list(with_space_checked([flows], tmp_path / "new" / name, None, least)) == [flows]
    made = []

    def parts():
        for _ in range(10):
            made.append(1)
            yield flows

    with pytest.raises(InputError, match="of disk space"):
        list(with_space_checked(parts(), tmp_path / "new" / name, 10 * len(flows), least))
    assert len(made) <= 1


def test_a_request_that_no_disk_holds_is_refused_before_a_flow_is_made(tmp_path):
    with pytest.raises(InputError, match="of disk space"):
        next(with_space_checked(iter(lambda: 1 / 0, 1), tmp_path / "f.parquet", 10**18))


def test_flows_are_counted_without_reading_them(flows, tmp_path):
    assert flows_in_file(save_flows(flows, tmp_path / "f.parquet")) == 300
    assert flows_in_file("loopback") is None
    (tmp_path / "g.parquet").write_text("no Parquet")
    assert flows_in_file(tmp_path / "g.parquet") is None
