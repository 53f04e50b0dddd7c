import logging

import pytest

from hf_ntg import disable_progress_bars, enable_progress_bars, progress
from hf_ntg.progress import Progress


@pytest.fixture(autouse=True)
def bars():
    yield
    enable_progress_bars()


def count(monkeypatch, seconds=(1,) * 40) -> None:
    """Units of work that take so many `seconds` each."""
    now = [0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("counting", None, "step") as bar:
        bar.expect(len(seconds))
        for one in seconds:
            now[0] += one
            bar.update()
        bar.describe("all done")


@pytest.fixture
def job(monkeypatch, caplog):
    """The lines that a job gets, which handles the logs."""
    monkeypatch.setattr(progress.logger, "handlers", [])  # a command that ran before may have left one
    caplog.set_level(logging.INFO, "hf_ntg")
    return caplog


def test_a_program_without_logging_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress.logger, "hasHandlers", lambda: False)
    count(monkeypatch)
    assert "counting" in capsys.readouterr().err


def test_a_job_gets_lines_that_begin_with_the_expected_duration(monkeypatch, job, capsys):
    count(monkeypatch)
    assert job.messages[0] == "counting: 40 steps, expected to take about 00:40"
    assert all(" of 40 steps, about " in line for line in job.messages[1:])
    assert len(job.messages) > 3
    assert not any("now expected" in line for line in job.messages)
    assert capsys.readouterr().err == ""


def test_a_slow_first_unit_does_not_count(monkeypatch, job):
    count(monkeypatch, (30,) + (1,) * 40)
    assert job.messages[0] == "counting: 41 steps, expected to take about 01:10"


def test_a_duration_that_changes_much_is_announced_again(monkeypatch, job):
    count(monkeypatch, (1,) * 20 + (10,) * 80)
    assert job.messages[0] == "counting: 100 steps, expected to take about 01:40"
    again = [line for line in job.messages if "now expected to take" in line]
    assert len(again) <= 3
    assert again[-1].endswith("(now expected to take 13:40 in all)")


def test_long_work_gets_few_lines(monkeypatch, job):
    count(monkeypatch, (2,) * 3_600)
    assert 100 < len(job.messages) < 200


def test_bars_can_be_switched_off(monkeypatch, caplog, capsys):
    caplog.set_level(logging.INFO, "hf_ntg")
    monkeypatch.setattr(progress.logger, "hasHandlers", lambda: False)
    disable_progress_bars()
    assert progress.are_progress_bars_disabled()
    count(monkeypatch)
    assert capsys.readouterr().err == ""
    assert not caplog.messages
