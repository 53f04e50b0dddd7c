"""Names of folders for labels: one folder for each label, safe on every file system."""

from __future__ import annotations

import hashlib
import re
import unicodedata

__all__ = ["FolderNames"]

UNLABELLED = "unlabelled"
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*%]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_MOST_BYTES = 120  # of a name in UTF-8; file systems allow 255, Windows 260 characters for a whole path
_DIGEST = 10  # characters of a hash


class FolderNames:
    """Gives every label its own folder name.

    A character that some file system forbids becomes ``%`` and two hexadecimal digits for each byte, as in a URL. So
    does the first character of a name that Windows reserves (``CON``), or that begins or ends in a dot or a space. A
    long label is cut and gets a hash. Labels that differ only in case or in Unicode normalization also get a hash, from
    the second one on, since some file systems do not distinguish them. Flows without a label are in ``unlabelled``; a
    label of that name gets a hash.
    """

    def __init__(self) -> None:
        self._names: dict[str | None, str] = {None: UNLABELLED}
        self._taken = {UNLABELLED}

    def name(self, label: str | None) -> str:
        """Return the folder of `label`. It is the same in every call."""
        if label not in self._names:
            assert label is not None
            name = _escaped(label)
            if _folded(name) in self._taken or len(name.encode()) > _MOST_BYTES:
                name = _with_hash(name, label)
            self._taken.add(_folded(name))
            self._names[label] = name
        return self._names[label]


def _escaped(label: str) -> str:
    name = _UNSAFE.sub(lambda found: _percent(found[0]), label.encode("utf-8", "replace").decode())
    if not name:
        return "%"
    if name[-1] in ". ":
        name = name[:-1] + _percent(name[-1])
    if name[0] in ". " or _RESERVED.fullmatch(name):
        name = _percent(name[0]) + name[1:]
    return name


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _folded(name: str) -> str:
    """Return `name` as a file system sees it that ignores case and Unicode normalization."""
    return unicodedata.normalize("NFKC", name).casefold()


def _with_hash(name: str, label: str) -> str:
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    short = name.encode()[: _MOST_BYTES - _DIGEST - 1].decode(errors="ignore").rstrip(". ")
    return f"{short}%{digest}"
