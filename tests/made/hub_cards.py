"""The Hub's check of a card, as far as its rules are known."""

import re

import yaml

_COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


def card_errors(card: str, kind: str) -> list[str]:
    """What the Hub finds wrong with the text of a card for a repository of `kind`."""
    match = re.match(r"---\n(.*?)\n---\n", card, flags=re.DOTALL)
    if match is None:
        return ["empty or missing yaml metadata in repo card"]
    try:
        metadata = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    wrong = []
    if not isinstance(metadata.get("license"), str):
        wrong.append("license must be a string")
    if any(not isinstance(tag, str) for tag in metadata.get("tags", [])):
        wrong.append("tags must be strings")
    if kind == "space":
        wrong += [
            f"{name} must be one of {_COLOURS}"
            for name in ("colorFrom", "colorTo")
            if metadata.get(name) not in _COLOURS
        ]
        if metadata.get("sdk") not in ("gradio", "docker", "static"):
            wrong.append("sdk must be gradio, docker or static")
        if len(metadata.get("short_description", "")) > 60:
            wrong.append("short_description is longer than 60 characters")
    for model in metadata.get("model-index", []):
        for result in model["results"]:
            if not ({"task", "dataset", "metrics"} <= result.keys() and {"name", "type"} <= result["dataset"].keys()):
                wrong.append("model-index: a result lacks task, dataset or metrics")
            elif not all("type" in metric and "value" in metric for metric in result["metrics"]):
                wrong.append("model-index: a metric lacks type or value")
    return wrong
