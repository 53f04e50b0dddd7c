import logging

import pytest

from hf_ntg import disable_progress_bars, enable_progress_bars, progress
from hf_ntg.progress import Progress


@pytest.fixture(autouse=True)
def bars():
    yield
    enable_progress_bars()


def count(monkeypatch) -> None:
    """Forty units of work of a second each."""
    now = [0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with Progress("counting", None, "step") as bar:
        bar.expect(40)
        for _ in range(40):
            now[0] += 1
            bar.update()
        bar.describe("all done")


def test_a_program_without_logging_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress.logger, "hasHandlers", lambda: False)
    count(monkeypatch)
    assert "counting" in capsys.readouterr().err


def test_a_job_gets_lines_that_begin_with_the_expected_duration(monkeypatch, caplog, capsys):
    monkeypatch.setattr(progress.logger, "handlers", [])  # a command that ran before may have left one
    caplog.set_level(logging.INFO, "hf_ntg")
    count(monkeypatch)
    assert caplog.messages[0] == "counting: 40 steps, expected to take 00:40 at most"
    assert all(" of 40 steps, about " in line for line in caplog.messages[1:])
    assert len(caplog.messages) > 3
    assert capsys.readouterr().err == ""


def test_bars_can_be_switched_off(monkeypatch, caplog, capsys):
    caplog.set_level(logging.INFO, "hf_ntg")
    monkeypatch.setattr(progress.logger, "hasHandlers", lambda: False)
    disable_progress_bars()
    assert progress.are_progress_bars_disabled()
    count(monkeypatch)
    assert capsys.readouterr().err == ""
    assert not caplog.messages
