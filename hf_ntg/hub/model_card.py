"""The card of a trained model, made from the files that training and evaluation left in its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData
from safetensors import SafetensorError, safe_open

from hf_ntg.codecs.flow_grammar import label_token
from hf_ntg.constants import RUN_FILE
from hf_ntg.errors import InputError
from hf_ntg.files import replacing, write_text
from hf_ntg.hub.evaluation import eval_results, keep_evaluation, read_evaluation, score_rows
from hf_ntg.hub.templates import render
from hf_ntg.hub.training_data import TrainingData
from hf_ntg.privacy.guarantee import read_guarantee

__all__ = ["PICTURE_FILE", "model_labels", "write_model_card"]

PICTURE_FILE = "packets.png"
_SCORES = ("evaluation.json", PICTURE_FILE)
_FAMILIES = {
    "gpt2": "GPT-2 (transformers' `GPT2LMHeadModel`)",
    "llama": "LLaMA (transformers' `LlamaForCausalLM`)",
    "mamba": "Mamba (transformers' `MambaForCausalLM`)",
    "unet": "diffusion model (diffusers' `UNet1DModel` in `FlowDiffusionPipeline`)",
}
# Settings of the other kind of model, which a card leaves out.
_ONLY_CAUSAL = {"max_payload", "time_bins", "time_weight", "dropout"}
_ONLY_DIFFUSION = {"packet_form", "prediction_type", "snr_gamma", "condition_dropout"}


@dataclass(frozen=True)
class _Codec:
    """Classes and form of a flow, as the codec next to the weights has them."""

    labels: list[str | None]
    label_counts: list[int]
    max_packets: int
    times: bool
    headers: bool
    view: str

    @property
    def most_frequent(self) -> str | None:
        """The class that examples use: the named one with the most training flows."""
        named = [pair for pair in zip(self.label_counts, self.labels, strict=True) if pair[1] is not None]
        return max(named, key=lambda pair: (pair[0], pair[1]))[1] if named else None


def write_model_card(
    folder: str | Path, repo_id: str, *, license: str = "apache-2.0", report: str | Path | None = None
) -> Path:
    """Write ``README.md`` into the model's `folder`: the Hub's metadata and the card.

    Everything on the card comes from files: ``training_config.json`` and ``training_run.json`` (the run),
    ``training_data.json`` (the data, where the publisher described them) and ``evaluation.json`` (the scores).

    Args:
        repo_id: id that the model will have, ``ORGANISATION/NAME``.
        license: licence of the weights, as the Hub abbreviates it.
        report: ``report.json`` of ``ntg evaluate``. Its scores are kept as ``evaluation.json``, its plot of the packets
            as ``packets.png``.

    Raises:
        InputError: `folder` holds no model of hf_ntg, `report` is not a report, or the model is differentially private
            and there are scores of real flows, which no guarantee covers.
    """
    folder = Path(folder)
    codec, family, privacy = _read_codec(folder), _family(folder), read_guarantee(folder)
    if privacy is not None and (report is not None or any((folder / name).exists() for name in _SCORES)):
        raise InputError(
            f"{folder}: the model is differentially private, and scores of real flows are not; publish it without a "
            f"report ({' and '.join(_SCORES)} removed from the folder)"
        )
    if report is not None:
        keep_evaluation(report, folder)
        _keep_picture(report, folder)
    evaluation, data = read_evaluation(folder), TrainingData.load(folder)
    run = _json(folder / RUN_FILE)
    base, base_on_hub = _base_model(run)
    shown = codec.most_frequent
    metadata = ModelCardData(
        license=license,
        library_name="diffusers" if family == "unet" else "transformers",
        pipeline_tag=None if family == "unet" else "text-generation",
        tags=["hf_ntg", "network-traffic", "synthetic-data", "network-flows", "traffic-classification"],
        datasets=[data.hub_id] if data is not None and data.hub_id else None,
        model_name=repo_id.rpartition("/")[2],
        base_model=base if base_on_hub else None,
        base_model_relation="finetune" if base_on_hub else None,
        eval_results=None if evaluation is None else eval_results(evaluation, data or TrainingData("own flows")),
        # The prompt that the Hub's page offers; the causal models continue it.
        widget=None if family == "unet" else [{"text": label_token(shown), "example_title": str(shown)}],
        inference=False if family == "unet" else None,
    )
    text = render(
        "model_card.md.j2",
        repo_id=repo_id,
        family=family,
        family_words=_FAMILIES[family],
        parameters=_count_parameters(folder),
        codec=codec,
        shown=shown,
        prompt=label_token(shown),
        data=data,
        run=run,
        base=base,
        base_on_hub=base_on_hub,
        config=_settings(folder, family),
        evaluation=evaluation,
        rows=[] if evaluation is None else score_rows(evaluation),
        privacy=privacy,
        picture=PICTURE_FILE if (folder / PICTURE_FILE).is_file() else None,
    )
    write_text(folder / "README.md", f"---\n{metadata.to_yaml()}\n---\n\n{text}")
    return folder / "README.md"


def model_labels(folder: Path) -> list[str | None]:
    """Names of the classes of the model in `folder`."""
    return _read_codec(folder).labels


def _read_codec(folder: Path) -> _Codec:
    grammar, processor = folder / "flow_grammar.json", folder / "processor" / "preprocessor_config.json"
    if (found := _json(grammar)) is not None:
        times, headers = bool(found["time_knots"]), bool(found["protocols"])
    elif (found := _json(processor)) is not None:
        times, headers = bool(found["time_knots"]), bool(found["headers"])
    else:
        raise InputError(f"{folder}: no model of hf_ntg to publish; train one by 'ntg train'")
    return _Codec(
        found["labels"], found["label_counts"], found["max_packets"], times, headers, found.get("view", "all")
    )


def _family(folder: Path) -> str:
    if (folder / "model_index.json").is_file():
        return "unet"
    family = (_json(folder / "config.json") or {}).get("model_type")
    if family not in _FAMILIES:
        raise InputError(f"{folder / 'config.json'}: no model of hf_ntg; train one by 'ntg train'")
    return family


def _json(path: Path) -> dict | None:
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); save the model again") from error


def _base_model(run: dict | None) -> tuple[str | None, bool]:
    """What the model was fine-tuned from, an id on the Hub or the hash of local weights, and whether it is an id."""
    identity = (run or {}).get("identity")
    base = identity.get("initial_model") if isinstance(identity, dict) else None
    return base, isinstance(base, str) and not base.startswith("sha256:") and base.count("/") == 1


def _settings(folder: Path, family: str) -> dict:
    other = _ONLY_CAUSAL if family == "unet" else _ONLY_DIFFUSION
    found = _json(folder / "training_config.json") or {}
    return {name: value for name, value in found.items() if name not in other}


def _count_parameters(folder: Path) -> int:
    """Number of parameters in the safetensors files of a model, from their headers."""
    total = 0
    for path in sorted(folder.rglob("*.safetensors")):
        try:
            with safe_open(path, "numpy") as file:
                for name in file.keys():  # noqa: SIM118 (not a mapping)
                    size = 1
                    for side in file.get_slice(name).get_shape():
                        size *= side
                    total += size
        except SafetensorError as error:
            raise InputError(f"{path}: not a readable safetensors file ({error}); save the model again") from error
    if not total:
        raise InputError(f"{folder}: holds no weights (*.safetensors); save the model again")
    return total


def _keep_picture(report: str | Path, folder: Path) -> None:
    """Plot real and synthetic flows, packet by packet, from the shares in the report."""
    from hf_ntg.report.plots import draw_packets, save_figure

    result = json.loads(Path(report).read_text(encoding="utf-8"))
    if "profiles" not in result:
        return
    with replacing(folder / PICTURE_FILE) as scratch:
        save_figure(draw_packets(result["profiles"], result["max_packets"]), scratch)
