from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from hf_ntg.flows.table_in.list_cells import Dates, direction_list, has_decimal_commas, listed


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("[1, 2]", [1, 2]),
        ("1|2", [1, 2]),
        ("(1; 2.5)", [1, 2.5]),
        ("1 x", [1, "x"]),
        ("", None),
        ("nan", None),
        ("[]", []),
        ([1], [1]),
        (None, None),
        ("[1 2\n 3]", [1, 2, 3]),
        ("[np.int64(60), np.int64(-1)]", [60, -1]),
        ("array([0.5, 1. ])", [0.5, 1]),
        ("array([1, 2], dtype=int32)", [1, 2]),
        ("tensor([1., 2.], device='cuda:0')", [1, 2]),
        ("[Decimal('0.1'), nan]", ["0.1", None]),
        ("[1 2 ... 9]", [1, 2, "...", 9]),
        ("['up', 'down']", ["up", "down"]),
        (np.array([1, 2]), [1, 2]),
    ],
)
def test_cells(cell, numbers):
    assert listed(cell) == numbers


def test_decimal_commas():
    assert has_decimal_commas(["[0,0; 0,02]", "0,5", None, "3"])
    assert has_decimal_commas(["0,0 0,02"])
    assert has_decimal_commas(["0,0; 0,02; nan"])
    assert not has_decimal_commas(["1,2,3", "[1, 2]"])
    assert not has_decimal_commas(["0,5", "[1]"])
    assert not has_decimal_commas(["1;2;3", ""])
    assert listed("[0,0; 0,02]", decimal_commas=True) == [0, 0.02]
    assert listed("[0,5]", decimal_commas=True) == [0.5]
    assert listed("1e-3|-0,5", decimal_commas=True) == [0.001, -0.5]


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [("+--+", [1e6, 1e6 + 1, 1e6 + 1, 1e6]), ('["a->b", "b->a"]', [1e6, 1e6 + 1]), ("a->b;b->a", [1e6, 1e6 + 1]),
     ("['True', 'false']", [1, 0]), ("1 0", [1, 0]), ('["up", null]', [1e6, None])],
)  # fmt: skip
def test_directions(cell, numbers):
    assert direction_list(cell, {}) == numbers


BEGIN = datetime(2024, 5, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "cell",
    [
        ["2024-05-01T08:00:00Z", "2024-05-01T08:00:00.250000Z", None],
        ["2024-05-01 10:00:00+02:00", "2024-05-01 10:00:00,25+0200", "nan"],
        ["2024/05/01 08:00:00", "2024/05/01 08:00:00.25", ""],
        ["20240501T080000", "20240501T080000.250000000", None],
        [BEGIN, (BEGIN + timedelta(seconds=0.25)).astimezone(timezone(timedelta(hours=-3))), None],
        [BEGIN.replace(tzinfo=None), BEGIN.replace(tzinfo=None, microsecond=250_000), None],
    ],
)
def test_dates(cell):
    dates = Dates()
    assert dates.seconds(cell) == [0, 0.25, None]
    assert dates.kind == "dates"


def test_dates_keep_nanoseconds_and_count_from_the_first_of_the_file():
    dates = Dates()
    assert dates.seconds(["2024-05-01T08:00:00.000000001Z", "2024-05-01T08:00:00.000000004Z"]) == [0, 3e-9]
    assert dates.seconds(["2024-05-02T08:00:00.000000002Z"]) == [86_400.000000001]


def test_durations_numbers_and_what_is_no_date():
    dates = Dates()
    assert dates.seconds([1.5, None]) == [1.5, None]
    assert dates.kind is None
    assert dates.seconds([timedelta(seconds=1.5)]) == [1.5]
    assert dates.kind == "durations"
    assert dates.seconds(["soon", "2024-13-01T08:00:00Z"]) == ["soon", "2024-13-01T08:00:00Z"]
