import pytest

from hf_ntg.errors import InputError
from hf_ntg.flows.capture_out.options import CaptureOptions, parse_rates, parse_start


def test_rates_of_classes():
    assert parse_rates(["https=3", "a=b=0.5"]) == {"https": 3, "a=b": 0.5}
    for text in ("https", "=3", "https=fast"):
        with pytest.raises(InputError, match="give LABEL=RATE"):
            parse_rates([text])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0.5", 0.5), ("1970-01-02", 86_400), ("1970-01-01T01:00", 3_600), ("1970-01-01T01:00+01:00", 0)],
)
def test_starts(text, seconds):
    assert parse_start(text) == seconds


def test_a_start_that_is_no_time():
    with pytest.raises(InputError, match="start 'soon': give seconds since 1970"):
        parse_start("soon")


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": float("nan")}, {"mss": 0}, {"mtu": 100}, {"mark": 70_000}])
def test_options_out_of_range_are_named(options):
    (name,) = options
    with pytest.raises(InputError, match=name):
        CaptureOptions(**options)
