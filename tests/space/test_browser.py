"""The page in a headless Chromium: from opening it to a downloaded capture that tshark reads."""

import shutil
import subprocess
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from hf_ntg import FlowGenerator, write_pcap
from hf_ntg.flows.arrays import as_arrays
from hf_ntg.space.visit import RealFlows

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.interop, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]


@pytest.fixture(scope="module")
def url(tiny_gpt2, tiny_unet, flows):
    gradio = pytest.importorskip("gradio")
    from hf_ntg.space.page import _STYLE, build_page

    half = len(flows) // 2
    real = RealFlows(*(as_arrays(flows.select(rows), "flows") for rows in (range(half), range(half, len(flows)))))
    page = build_page(
        {
            "lab/gpt2": (FlowGenerator.from_pretrained(tiny_gpt2), real),
            "lab/unet": (FlowGenerator.from_pretrained(tiny_unet), None),
        }
    )
    page.queue(max_size=60)
    theme = gradio.themes.Default(font=["sans-serif"], font_mono=["monospace"])
    _, address, _ = page.launch(
        prevent_thread_lock=True, quiet=True, inbrowser=False, css=_STYLE, theme=theme, footer_links=[]
    )
    yield address
    page.close()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=str)
def visitor(browser, url, request):
    width, scheme = request.param
    phone = width < 500  # which lays out what is too wide on a wider page
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        accept_downloads=True,
        is_mobile=phone,
        has_touch=phone,
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    page.locator(".plot img").first.wait_for()  # the first draw comes by itself
    yield page, width
    context.close()


def generate(page):
    """Ask for flows by the keyboard, and wait for the answer."""
    before = page.locator(".plot img").first.get_attribute("src")
    page.get_by_role("button", name="Generate").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('.plot img').src != {before!r}")


def test_from_opening_to_a_capture(visitor, tmp_path):
    page, width = visitor
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    texts = [one.get_attribute("alt") for one in page.locator(".plot img").all()]
    assert len(texts) == 2
    assert all("real flows (blue) and synthetic flows (orange)" in text for text in texts)
    assert "occurred once" in page.locator(".answer").inner_text()
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Seed").fill(str(width))
    page.get_by_label("Client network").fill("192.168.0.0/16")
    page.get_by_label("Start of the capture").fill("2024-05-01T08:00")
    generate(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the flows").click()
    download.value.save_as(tmp_path / "synthetic.zip")
    with zipfile.ZipFile(tmp_path / "synthetic.zip") as packed:
        packed.extractall(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {f"synthetic.{kind}" for kind in ("parquet", "csv", "jsonl", "pcapng", "flows.csv")} <= names
    if shutil.which("tshark"):
        fields = ["-T", "fields", "-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst"]
        command = ["tshark", "-n", "-r", str(tmp_path / "synthetic.pcapng"), *fields]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        times, sources, destinations = zip(*(line.split("\t") for line in done.stdout.splitlines()), strict=True)
        assert min(map(float, times)) >= 1_714_550_400
        assert all("192.168." in "".join(pair) for pair in zip(sources, destinations, strict=True))


def test_a_wrong_field_is_named_and_the_last_answer_stays(visitor):
    page, _ = visitor
    before = page.locator(".plot img").first.get_attribute("src")
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Client network").fill("8.8.8.0/24")
    page.get_by_role("button", name="Generate").click()
    page.get_by_text("Capture:").first.wait_for()
    assert page.locator(".plot img").first.get_attribute("src") == before


@pytest.mark.parametrize("visitor", [(1280, "light")], indirect=True)
def test_another_model_and_own_flows(visitor, flows, tmp_path):
    page, _ = visitor
    page.get_by_role("button", name="More settings").click()
    page.get_by_label("Temperature").first.wait_for()
    page.get_by_label("Model").click()
    page.get_by_role("option", name="lab/unet").click()
    page.get_by_label("Scheduler").wait_for()
    page.get_by_label("Temperature").first.wait_for(state="hidden")
    write_pcap(flows.filter(lambda row: row["label"] == "web"), tmp_path / "own.pcapng")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "own.pcapng")
    page.get_by_text("own.pcapng").first.wait_for()
    generate(page)
    assert "that you uploaded" in page.locator(".answer").inner_text()


def files_of(url, seed, before=None):
    """What a visitor downloads for `seed`: the flows as JSON lines."""
    client = pytest.importorskip("gradio_client").Client(url, verbose=False)
    if before is not None:
        before.wait()
    given = ["lab/gpt2", ["web"], 20, seed, 10, "10.0.0.0/8", "203.0.113.0/24", "0", None, 1.0, 5, ""]
    answer = client.predict(*given, api_name="/generate")
    with zipfile.ZipFile(answer[4]) as packed:
        return packed.read("synthetic.jsonl")


def test_thirty_visitors_at_once_get_their_own_files(url):
    together = threading.Barrier(30)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda seed: files_of(url, seed, together), range(1_000, 1_030)))
    assert len(set(answers)) == 30
    assert files_of(url, 1_007) == answers[7]
