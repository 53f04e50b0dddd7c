"""Scan a folder for what must not be published: training data, addresses, absolute paths, secrets, pickles."""

from __future__ import annotations

import ipaddress
import json
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from hf_ntg.codecs.flow_grammar import label_token
from hf_ntg.errors import InputError
from hf_ntg.flows.provenance import provenance_of_file
from hf_ntg.hub.secrets import has_secret, names_secret, secret_rules

__all__ = ["RECORDED_COLUMNS", "RepoType", "labels_like_private", "refuse_private", "warn_of_labels"]

RepoType = Literal["model", "dataset", "space"]

_TEXT = (".json", ".md", ".txt", ".py")
_KNOWN = {
    "model": (".json", ".md", ".txt", ".png", ".safetensors"),
    "dataset": (".json", ".md", ".parquet"),
    "space": (".md", ".txt", ".py"),
}
# Columns that only recorded traffic has: its capture, its hosts and their names.
RECORDED_COLUMNS = ("capture", "sni", "source", "destination", "source_hash", "destination_hash")
_LONGEST = 120  # characters of an offending line that are shown

_PATH = re.compile(
    r"(?<![\w:/.~<])(?:file://)?/(?:home|root|Users|tmp|var|mnt|media|srv|opt|data|scratch|work|workspace|Volumes|private"
    r"|etc|usr|run|proc|dev|nix|app|content|kaggle|workspaces|github|builds|lustre|gpfs|nfs|net|projects?|users|storage"
    r"|cluster|export|vol|Library|Applications)"
    r"/[\w.~-]+|(?<!\w)[A-Za-z]:\\{1,2}[\w.-]+|(?<![\w\\])\\\\[\w.-]+\\[\w.$-]+"
)
_WHOLE_PATH = re.compile(r"/[^/\s]+(?:/[^/\s]+)+/?")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
_MAC = re.compile(
    r"(?<![\w:-])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![\w:-])"
    r"|(?<![\w.])(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?![\w.])"
)
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")  # RFC 4291: what is handed out
_DOCUMENTED_MAC = "00005e0053"  # RFC 7042


def refuse_private(folder: str | Path, kind: RepoType, labels: Iterable[str | None] = ()) -> None:
    """Scan every file of `folder`, which is to become a repository of `kind`.

    Refused are:

    - links, and files of other kinds than such a repository holds: captures, tables next to a model, pickles and other
      files that run code when they are loaded;
    - Parquet files without a mark of a generator, or with columns that only recorded traffic has;
    - in all that is text: tokens, keys and passwords, public IPv4 and IPv6 addresses, hardware addresses, and absolute
      paths. Addresses from private and documentation ranges may stay.

    A scan finds what its rules know. It cannot promise that nothing else is private.

    Args:
        labels: names of classes. They are the user's own words, so one that looks like an address or a path may stay;
            :func:`labels_like_private` names those.

    Raises:
        InputError: something was found; the message names the file, the place and what it is.
    """
    folder = Path(folder)
    named = labels_like_private([*labels, *_labels_of_model(folder)])
    with secret_rules():
        for path in sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise InputError(f"{name}: a link, not a file; copy what it points to")
            if path.suffix not in _KNOWN[kind]:
                raise InputError(f"{name}: {_kind_of_file(path)} does not belong in a {kind} repository; move it away")
            if path.suffix == ".parquet":
                _check_table(path, name)
            for place, text in _texts(path, name):
                found = _finding(text, named)
                if found is not None:
                    raise InputError(f"{name}, {place}: holds {found}; remove it before publishing")


def _labels_of_model(folder: Path) -> list[str]:
    """Names of the classes in the codec of a model in `folder`; none where it has no codec."""
    for name in ("flow_grammar.json", "processor/preprocessor_config.json"):
        path = folder / name
        if path.is_file() and not path.is_symlink():
            found = _json_of(path, name)
            labels = found.get("labels") if isinstance(found, dict) else None
            return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []
    return []


def labels_like_private(labels: Iterable[str | None]) -> list[str]:
    """Those of `labels` that look like an address or an absolute path, longest first.

    They are published as they are, since a class keeps its name.
    """
    return sorted({label for label in labels if label is not None and _private(label)}, key=len, reverse=True)


def warn_of_labels(labels: Iterable[str | None], allowed: Collection[str] = ()) -> None:
    """Warn of each label that looks like an address or a path and is not among those `allowed`."""
    for label in labels_like_private(labels):
        if label not in allowed:
            what = _private(label)
            warnings.warn(f"the class {label!r} looks like {what}; its name is published as it is", stacklevel=3)


def _kind_of_file(path: Path) -> str:
    """What a file is that no repository may hold, as the subject of a sentence."""
    with path.open("rb") as file:
        head = file.read(4)
    if head in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\x0a\x0d\x0d\x0a"):
        return "a capture, which"
    if path.suffix in (".pkl", ".pickle", ".bin", ".pt", ".pth", ".ckpt", ".joblib") or head[:1] == b"\x80":
        return "a pickle, which runs code when it is loaded and"
    if path.suffix in (".parquet", ".jsonl", ".csv", ".arrow", ".gz", ".zip"):
        return "a table, which may hold training data and"
    return f"a {path.suffix or 'nameless'} file"


def _check_table(path: Path, name: str) -> None:
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{name}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
    marks = provenance_of_file(schema)
    if not marks:
        raise InputError(f"{name}: nothing says that a generator made these flows; real flows are not published")
    if any(mark.holds_real for mark in marks):
        raise InputError(f"{name}: holds real flows, or changed ones, which are not published")
    recorded = [column for column in schema.names if column in RECORDED_COLUMNS]
    if recorded:
        raise InputError(f"{name}: column '{recorded[0]}' is of recorded traffic; real flows are not published")


def _texts(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """Everything in a file that a person could read, with its place."""
    if path.suffix == ".json":
        for place, text in _strings(_json_of(path, name), "", name):
            yield f"at {place or 'the top'}", text
    elif path.suffix in _TEXT:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{name}: not text ({error.reason}); move it away") from error
        yield from ((f"line {number}", line) for number, line in enumerate(lines, start=1))
    elif path.suffix == ".safetensors":
        yield from _safetensors_texts(path, name)
    elif path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for key, value in (file.schema_arrow.metadata or {}).items():
                yield f"metadata '{key.decode()}'", value.decode("utf-8", "replace")
            texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
            for column in texts:
                found = pq.read_table(path, columns=[column]).column(0).unique()
                yield from ((f"column '{column}'", text) for text in found.to_pylist() if text is not None)


def _json_of(path: Path, name: str) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: not JSON ({error}); mend or remove it") from error


def _strings(value: object, place: str, file: str) -> Iterator[tuple[str, str]]:
    """Every text in parsed JSON, keys included, with its place.

    Raises:
        InputError: a setting whose name promises a secret has a value.
    """
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield place, key
            if isinstance(part, str) and part and names_secret(key):
                raise InputError(
                    f"{file}, at {place or 'the top'}, {key!r}: a setting for a secret; remove it before publishing"
                )
            yield from _strings(part, f"{place}.{key}".lstrip("."), file)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _strings(part, f"{place}[{number}]", file)


def _safetensors_texts(path: Path, name: str) -> Iterator[tuple[str, str]]:
    """Names and notes in the header; the format is documented at huggingface.co/docs/safetensors."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        head = file.read(size) if size < path.stat().st_size else b""
    try:
        yield from ((f"header, {place}", text) for place, text in _strings(json.loads(head), "", name))
    except ValueError as error:
        raise InputError(f"{name}: not a safetensors file; save the weights again") from error


def _finding(text: str, labels: list[str]) -> str | None:
    """What `text` holds that must not be published, or None."""
    if has_secret(text):
        return "a token or key"  # not shown
    for label in labels:
        for written in (label, label_token(label)[1:-1]):
            text = text.replace(written, "")
    return _private(text)


def _private(text: str) -> str | None:
    """An address or a path in `text`, in words, or None."""
    found = _PATH.search(text) or _WHOLE_PATH.fullmatch(text)
    if found:
        return f"an absolute path ({found.group()[:_LONGEST]})"
    for match in _IPV4.finditer(text):
        address = _address(match.group())
        if address is not None and address.is_global:
            return f"a public address ({match.group()})"
    for match in _IPV6.finditer(text):
        address = _address(match.group())
        if address is not None and address in _GLOBAL_IPV6 and address.is_global:
            return f"a public address ({match.group()})"
    for match in _MAC.finditer(text):
        digits = re.sub("[:.-]", "", match.group()).lower()
        if not digits.startswith(_DOCUMENTED_MAC) and not int(digits[:2], 16) & 0b10:  # locally administered: made up
            return f"a hardware address ({match.group()})"
    return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
