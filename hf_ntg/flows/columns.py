"""Checks of one column of a flow table: types, ranges, nulls; the first value that breaks a rule is named by row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_ntg.errors import InputError

__all__ = ["MAX_LABEL", "MAX_PAYLOAD", "number_column", "packet_column", "text_column"]

MAX_PAYLOAD = 65_535
MAX_LABEL = 10_000
"""Characters of the longest text that a cell of a flow table may hold."""

_RANGES = {
    "protocol": (0, 255),
    "source_port": (0, 65_535),
    "destination_port": (0, 65_535),
    "payload_length": (0, MAX_PAYLOAD),
    "direction": (-1, 1),
    "inter_arrival_time": (0.0, float(np.finfo(np.float32).max)),
    "tcp_window": (0, 65_535),
    "packet_count": (0, 2**31 - 1),
}
_REMEDY = "; 'ntg import' reads tables of other conventions"


def packet_column(name: str, column: pa.Array, wanted: pa.DataType, source: str) -> pa.ListArray:
    """Check a column of packet lists and cast it to the list type `wanted`; null lists stay null.

    Raises:
        InputError: the column holds no lists of numbers, or a number is null, out of range or not whole.
    """
    kind = column.type
    is_list = any(
        test(kind) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    ) or pa.types.is_null(kind)
    if not is_list or not (pa.types.is_null(kind) or _is_number(kind.value_type) or pa.types.is_null(kind.value_type)):
        raise InputError(f"{source}: column '{name}' cannot be read: it holds {kind}, not lists of numbers{_REMEDY}")
    if pa.types.is_null(kind) or pa.types.is_null(kind.value_type) or pa.types.is_fixed_size_list(kind):
        column = column.cast(pa.list_(pa.float64() if pa.types.is_null(kind) else kind.value_type))
        if pa.types.is_null(column.type.value_type):
            column = column.cast(pa.list_(pa.float64()))
    values = column.flatten()
    numbers = values.to_numpy(zero_copy_only=False)
    low, high = _RANGES[name]
    bad = ~((numbers >= low) & (numbers <= high))  # also true of null and NaN
    if name == "direction":
        bad |= numbers == 0
    if numbers.dtype.kind == "f" and not pa.types.is_floating(wanted.value_type):
        bad |= numbers != np.floor(numbers)
    if bad.any():
        row, packet = _place(column, int(np.argmax(bad)))
        wish = "+1 or -1" if name == "direction" else _wish(low, high, wanted.value_type)
        value = numbers[np.argmax(bad)]
        raise InputError(f"{source}: column '{name}', row {row}, packet {packet}: {value} is not {wish}{_REMEDY}")
    return column if column.type == wanted else column.cast(wanted, safe=False)


def number_column(name: str, column: pa.Array, wanted: pa.DataType, source: str) -> pa.Array:
    """Check a column of one number a flow and cast it to `wanted`; null and NaN mean unknown.

    Raises:
        InputError: a value is no number, out of range or not whole.
    """
    if pa.types.is_null(column.type):
        return column.cast(wanted)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = _parsed(name, column, source)
    if not _is_number(column.type):
        raise InputError(f"{source}: column '{name}' cannot be read: it holds {column.type}, not numbers")
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
    low, high = _RANGES[name]
    bad = (numbers < low) | (numbers > high)
    if numbers.dtype.kind == "f":
        bad |= numbers != np.floor(numbers)
    if bad.any():
        row = int(np.argmax(bad))
        wish = _wish(low, high, wanted)
        raise InputError(f"{source}: column '{name}', row {row}: {numbers[row]} is not {wish}; null where unknown")
    return column if column.type == wanted else column.cast(wanted, safe=False)


def text_column(name: str, column: pa.Array, source: str) -> pa.Array:
    """Cast a column of texts to strings; whole numbers become their decimal text, NaN becomes null.

    Raises:
        InputError: a value is neither text nor a whole number, not valid UTF-8, or longer than :data:`MAX_LABEL`.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        bad = ~(np.abs(numbers) < 2**53) | (numbers != np.floor(numbers))
        if bad.any():
            row = int(np.argmax(bad))
            raise InputError(f"{source}: column '{name}', row {row}: {numbers[row]} is no name; give text")
        column = column.cast(pa.int64())
    elif not (
        pa.types.is_null(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ):  # fmt: skip
        raise InputError(f"{source}: column '{name}' cannot be read: it holds {kind}; give text")
    if column.type != pa.string():
        column = column.cast(pa.string())
    try:
        longest = pc.max(pc.utf8_length(column)).as_py() or 0
        column.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise InputError(f"{source}: column '{name}': text that is not UTF-8 ({str(error).splitlines()[0]})") from error
    if longest > MAX_LABEL:
        row = pc.index(pc.greater(pc.utf8_length(column), MAX_LABEL), True).as_py()
        raise InputError(
            f"{source}: column '{name}', row {row}: a text of more than {MAX_LABEL:,} characters; shorten it"
        )
    return column


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)


def _parsed(name: str, column: pa.Array, source: str) -> pa.Array:
    """A column of decimal texts as numbers; empty text is null."""
    trimmed = pc.utf8_trim_whitespace(column)
    trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    try:
        return trimmed.cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise InputError(
            f"{source}: column '{name}' cannot be read as numbers ({str(error).splitlines()[0]})"
        ) from error


def _place(column: pa.ListArray, entry: int) -> tuple[int, int]:
    """Row, and place in the row's list, of the `entry`-th number of all lists of `column`."""
    ends = np.cumsum(pc.list_value_length(column).fill_null(0).to_numpy(zero_copy_only=False))
    row = int(np.searchsorted(ends, entry, side="right"))
    return row, entry - int(ends[row - 1] if row else 0)


def _wish(low: float, high: float, wanted: pa.DataType) -> str:
    if pa.types.is_floating(wanted):
        return "a finite number of seconds, 0 or more"
    return f"a whole number from {low} to {high}"
