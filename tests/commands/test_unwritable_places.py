"""Places that cannot be written: every command says so in one line, before it reads or computes anything."""

import pytest
from command_line import run
from made_flows import table

from hf_ntg.files import naming_errors, replacing
from hf_ntg.flows import save_flows

resource = pytest.importorskip("resource")

COMMANDS = {
    "import": "import /no/such.pcap --output PLACE/flows.parquet",
    "split": "split /no/such.parquet --output PLACE",
    "export": "export /no/such.parquet --output PLACE/flows.pcap",
    "export per flow": "export /no/such.parquet --per-flow --output PLACE",
    "train": "train /no/such.parquet --output PLACE",
    "train private": "train /no/such.parquet --model private-n-gram --epsilon 1 --output PLACE",
    "generate": "generate /no/such --num-flows 9 --output PLACE/flows.parquet",
    "generate shards": "generate /no/such --num-flows 9 --num-shards 2 --output PLACE",
    "evaluate": "evaluate --train /no/such --test /no/such --synthetic /no/such --output PLACE",
    "augment": "augment /no/such.parquet --per-class 9 --output PLACE/flows.parquet",
    "study": "study /no/such.parquet --output PLACE",
    "quickstart": "quickstart --flows /no/such.parquet --output PLACE",
}


def refused(monkeypatch, capsys, words):
    """The line with which a command ends, which has to be one."""
    status, _, err = run(monkeypatch, capsys, *words)
    lines = [line for line in err.splitlines() if line.startswith("ntg: ") and "warning" not in line]
    assert (status, len(lines)) == (2, 1)
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(command, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    for place, reason in ((tmp_path / "file", "a file stands where"), (tmp_path / ("n" * 300), "too long")):
        words = [word.replace("PLACE", str(place)) for word in COMMANDS[command].split()]
        line = refused(monkeypatch, capsys, words)
        assert reason in line
        assert str(place) in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


FULL = {
    "split": "split FLOWS --output PLACE/parts",
    "export": "export FLOWS --output PLACE/flows.pcap",
    "import": "import FLOWS --output PLACE/flows.parquet",
    "train private": "train FLOWS --model private-n-gram --epsilon 1 --max-packets 5 --output PLACE/model",
}


@pytest.fixture
def many(tmp_path):
    flows = table(*[("web", [f"+{k}", f"-{k * 7 % 1_400}", "+9"]) for k in range(1_500)])
    return save_flows(flows, tmp_path / "many.parquet")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("command", FULL)
def test_a_disk_that_is_full_in_the_middle_of_a_file_is_named(command, many, tmp_path, monkeypatch, capsys):
    place = tmp_path / "place"
    place.mkdir()
    words = [word.replace("PLACE", str(place)).replace("FLOWS", str(many)) for word in FULL[command].split()]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_500, hard))  # more than the check beforehand writes
    try:
        line = refused(monkeypatch, capsys, words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "size limit" in line
    assert str(place) in line
    assert not [path for path in place.rglob("*") if path.suffix == ".part"]


def test_an_error_that_a_library_reports_as_text_names_the_file(tmp_path):
    with pytest.raises(OSError, match="No space left") as error, replacing(tmp_path / "weights.bin"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    assert error.value.filename == str(tmp_path / "weights.bin")


def test_a_scratch_name_is_not_shown(tmp_path):
    with pytest.raises(FileNotFoundError) as error, naming_errors(tmp_path / "model", tmp_path / "scratch"):
        (tmp_path / "scratch" / "unet" / "config.json").read_text()
    assert error.value.filename == str(tmp_path / "model" / "unet" / "config.json")


def test_other_errors_stay_as_they_are(tmp_path):
    with pytest.raises(ValueError, match="a bug"), naming_errors(tmp_path):
        raise ValueError("a bug")
