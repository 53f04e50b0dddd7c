import sys
import time

import pytest

from hf_ntg.study.axes.meter import Meter


def test_waiting_takes_no_cpu_time():
    with Meter() as meter:
        time.sleep(0.1)
    assert meter.seconds >= 0.1
    assert meter.cpu_seconds < 0.09


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_peak_is_that_of_the_block():
    def peak_of(size):
        with Meter() as meter:
            bytearray(size)
        return meter.peak_mib

    large, small = peak_of(300 << 20), peak_of(1 << 20)
    assert large is None or large - small > 250
