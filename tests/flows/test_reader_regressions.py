"""Inputs that once broke a reader (found by scripts/fuzz_readers.py): now flows, or one clear error."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.load import load_flows
from hf_ntg.flows.reading_options import ReadingOptions

FILES = sorted((Path(__file__).parent.parent / "regressions").iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("switch", [False, True])
def test_nothing_but_flows_or_an_input_error(path, switch):
    options = ReadingOptions(decapsulate=switch, split_offload=switch, read_sni=switch)
    try:
        reader = options.reader(path, "capture", lambda count: None)
        for batch in reader:
            batch.flows.to_dataset()
        error = reader.broken
    except InputError as caught:
        error = caught
    assert error is None or "\n" not in str(error)
    if path.suffix == ".parquet":
        with pytest.raises(InputError) as refused:
            load_flows(path)
        assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_fuzzing(tmp_path):
    """A few thousand inputs of the fuzzer, other ones than those of the long run that is in the notes."""
    script = Path(__file__).parents[2] / "scripts" / "fuzz_readers.py"
    command = [sys.executable, script, "--count", "4000", "--seed", "77", "--guided", "--findings", tmp_path / "found"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    memory = [int(megabytes) for megabytes in re.findall(r"(\d+) MB in memory", done.stdout)]
    assert memory[-1] - memory[4] < 20
