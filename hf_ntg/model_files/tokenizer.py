"""The tokenizer of a causal model: its settings, and whether its words are those of the grammar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_ntg.codecs.flow_grammar import FlowGrammar
from hf_ntg.model_files.fields import ANY_NUMBER, Rule, check_fields, complain, flag, optional, read_object, same

__all__ = ["check_tokenizer"]

_SETTINGS: dict[str, Rule] = {
    "backend": ("tokenizers",),
    "eos_token": ("<eos>",),
    "pad_token": ("<pad>",),
    "padding_side": ("left", "right"),
    "tokenizer_class": ("FlowTokenizer", "TokenizersBackend", "PreTrainedTokenizerFast"),
    "model_max_length": ANY_NUMBER,
    "is_local": flag,
    "local_files_only": flag,
}
_NO_TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {},
}
_LEADING_SPACE = {"type": "Replace", "pattern": {"Regex": r"\A"}, "content": " "}


def check_tokenizer(folder: Path, grammar: FlowGrammar, words: list[str]) -> None:
    """Check that the tokenizer of a causal model splits at white space and looks up the `words` of its grammar.

    Other rules of the tokenizers library, such as normalizers with patterns, are refused.

    Raises:
        InputError: tokenizer.json or tokenizer_config.json is missing or damaged, or says something else.
    """
    path = folder / "tokenizer_config.json"
    check_fields(path, read_object(path), {}, {**_SETTINGS, "flow_grammar": lambda value: _agrees(value, grammar)})
    path = folder / "tokenizer.json"
    special: dict[str, Any] = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": place, "content": words[place], **special, "special": True} for place in (0, grammar.eos)]
    needed: dict[str, Rule] = {
        "model": lambda value: isinstance(value, dict) and value.keys() == {"type", "vocab", "unk_token"},
        "pre_tokenizer": ({"type": "WhitespaceSplit"},),
        "added_tokens": lambda value: same(value, added),
    }
    others: dict[str, Rule] = {
        "version": ("1.0",),
        "post_processor": (None, _NO_TEMPLATE),
        "decoder": (None, _LEADING_SPACE),
        "padding": optional(_is_padding),
        "truncation": optional(_is_truncation),
    }
    found = read_object(path)
    check_fields(path, found, needed, others)
    model: dict[str, Rule] = {
        "type": ("WordLevel",),
        "unk_token": ("no such word",),
        "vocab": lambda value: isinstance(value, dict),
    }
    check_fields(path, found["model"], model)
    if not same(found["model"]["vocab"], {word: place for place, word in enumerate(words)}):
        raise complain(path, "its words are not those of flow_grammar.json")


def _is_padding(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token"}
        and value.get("pad_token", "<pad>") == "<pad>"
        and (value.get("strategy", "BatchLongest") == "BatchLongest" or _is_size(value["strategy"], "Fixed"))
        and all(_is_size(value, name) for name in ("pad_to_multiple_of", "pad_id", "pad_type_id"))
    )


def _is_truncation(value: Any) -> bool:
    """Whether `value` is a setting of truncation as the tokenizers library writes it."""
    return (
        isinstance(value, dict)
        and value.keys() <= {"direction", "max_length", "strategy", "stride"}
        and all(_is_size(value, name) for name in ("max_length", "stride"))
    )


def _is_size(value: Any, name: str) -> bool:
    """Whether `value` is an object whose entry `name` is missing, null or a small whole number."""
    if not isinstance(value, dict):
        return False
    size = value.get(name)
    return size is None or (isinstance(size, int) and not isinstance(size, bool) and 0 <= size <= 100_000)


def _agrees(value: Any, grammar: FlowGrammar) -> bool:
    try:
        return isinstance(value, dict) and FlowGrammar.from_dict(value) == grammar
    except (ValueError, TypeError):
        return False
