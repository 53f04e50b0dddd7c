from pathlib import Path

from hf_ntg.flows.reading import no_columns, packed_address


def test_addresses_as_bytes():
    assert packed_address("10.0.0.1") == bytes([10, 0, 0, 1])
    assert packed_address("::1") == bytes(15) + b"\1"
    assert packed_address("10.0.0.300") == packed_address(None) == packed_address(5) == b""


def test_the_error_names_file_columns_and_remedy():
    error = no_columns(Path("t.csv"), ["label", "direction"], ["a", "b"], "rename them")
    assert str(error) == "t.csv: no column 'label', 'direction' (found: 'a', 'b'); rename them"
    assert "found: none" in str(no_columns(Path("t.csv"), ["label"], [], "rename them"))
