"""Publishing a metric as a Space on the Hub, which ``evaluate.load`` loads and which has a page to try it."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path

import yaml

from hf_ntg.errors import InputError
from hf_ntg.files import new_folder, write_text
from hf_ntg.hub.bundle import bundle_metric, requirements_of
from hf_ntg.hub.scan import refuse_private
from hf_ntg.hub.templates import render
from hf_ntg.hub.upload import Destination, Published, send_folder
from hf_ntg.metrics.info import MetricInfo
from hf_ntg.metrics.registry import find_metric

__all__ = ["lay_out_metric", "publish_metric"]

GRADIO_VERSION = "6.31.0"  # the version that the page was tested with


def publish_metric(name: str, to: Destination) -> Published:
    """Send metric `name` (such as ``flow_jsd``) to a Space: ``evaluate.load(to.repo_id)`` then computes it anywhere.

    Raises:
        InputError: there is no such metric, it needs more than flows, or the Hub refuses.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return send_folder(lay_out_metric(name, Path(scratch) / "repository", to.repo_id), "space", to)


def lay_out_metric(name: str, folder: str | Path, repo_id: str) -> Path:
    """Write what :func:`publish_metric` would send into the new `folder`; returns the folder.

    The folder holds the metric's module, named as evaluate wants it, with all code that it needs; ``README.md`` with
    the Space's settings and the metric's card; ``requirements.txt``; and ``app.py``, the page. If the folder has the
    name of the repository, ``evaluate.load`` takes its path.

    Raises:
        InputError: there is no such metric, or it needs more than flows.
    """
    main_file = f"{repo_id.rpartition('/')[2]}.py"
    metric = _metric_of_flows(name)
    files = bundle_metric(name, main_file)
    settings = {
        "title": metric.title,
        "emoji": "📶",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": GRADIO_VERSION,
        "app_file": "app.py",
        "pinned": False,
        "license": "apache-2.0",
        "short_description": "A metric of synthetic network flows",
        "tags": ["evaluate", "metric", "hf_ntg", "network-traffic"],
    }
    front = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    card = render("metric_card.md.j2", metric=metric, repo_id=repo_id)
    page = render("metric_app.py.j2", metric=metric, repo_id=repo_id, main_file=main_file)
    requirements = "".join(f"{line}\n" for line in requirements_of(files))
    files |= {"README.md": f"---\n{front}---\n\n{card}", "app.py": page, "requirements.txt": requirements}
    with new_folder(folder) as scratch:
        for file, text in files.items():
            write_text(scratch / file, text)
        refuse_private(scratch, "space")
    return Path(folder)


def _metric_of_flows(name: str) -> MetricInfo:
    metric = find_metric(name)
    inputs = list(inspect.signature(metric.compute).parameters.values())[2:]
    more = [one.name for one in inputs if one.default is one.empty and one.name != "train"]
    if more:
        raise InputError(f"{name}: computes from {more[0]} and not from flows alone, which no page can take")
    return metric
