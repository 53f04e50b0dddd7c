"""Inputs that once broke a reader (found by scripts/fuzz_readers.py): now flows, or one clear error."""

from pathlib import Path

import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.importing import ReadingOptions

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
