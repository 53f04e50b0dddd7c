"""Send a folder to a repository on the Hub: scanned first, then sent as one commit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_ntg.errors import InputError
from hf_ntg.hub.scan import RepoType, refuse_private
from hf_ntg.remote import hub_in_words

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationDelete, HfApi

__all__ = ["Destination", "Published", "list_files", "send_folder"]

# By kind, the files of a repository that an upload replaces as a whole.
_REPLACED = {"dataset": "data/*", "space": "ntg_*.py"}
_REPO_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Destination:
    """The repository that a folder is sent to.

    Attributes:
        repo_id: ``ORGANISATION/NAME``.
        private: whether a new repository is private; None leaves it to the account's default.
        revision: branch to commit to; it is created if missing.
        token: token of the account; None uses the one of ``hf auth login``.
        message: commit message.
    """

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    token: str | None = None
    message: str = "Upload by hf_ntg"

    def __post_init__(self) -> None:
        if not _REPO_ID.fullmatch(self.repo_id):
            raise InputError(f"{self.repo_id}: not the id of a repository; give ORGANISATION/NAME")


@dataclass(frozen=True)
class Published:
    """A finished upload: address of the repository, commit, and the files with their sizes in bytes."""

    url: str
    commit: str
    files: dict[str, int]


def send_folder(folder: str | Path, kind: RepoType, to: Destination, labels: Iterable[str | None] = ()) -> Published:
    """Make `folder` the content of a repository, which is created if missing.

    All files go in one commit, so that a reader sees the old content or the new, never half of it. Run an interrupted
    upload again: the Hub knows which files it has, and those are not sent twice. Shards and modules of an older version
    that `folder` does not hold are deleted; other files in the repository stay.

    Args:
        labels: names of classes, which may look like addresses; see :func:`~hf_ntg.hub.scan.refuse_private`.

    Raises:
        InputError: the folder holds what must not be published, or the Hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    folder = Path(folder)
    refuse_private(folder, kind, labels)
    files = list_files(folder)
    api = HfApi(token=to.token, library_name="hf_ntg")
    with hub_in_words(to.repo_id, kind, "not published: "):
        url = api.create_repo(
            to.repo_id,
            repo_type=kind,
            private=to.private,
            exist_ok=True,
            space_sdk="gradio" if kind == "space" else None,
        )
        if to.revision is not None:
            api.create_branch(to.repo_id, branch=to.revision, repo_type=kind, exist_ok=True)
        added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=folder / name) for name in files]
        operations: list[Any] = [*added, *_deletions(api, kind, to, files)]
        commit = api.create_commit(
            to.repo_id, operations, commit_message=to.message, repo_type=kind, revision=to.revision
        )
    return Published(str(url), commit.oid, files)


def list_files(folder: str | Path) -> dict[str, int]:
    """The files of `folder`, by their names in a repository, with their sizes in bytes."""
    folder = Path(folder)
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}


def _deletions(api: HfApi, kind: RepoType, to: Destination, files: dict[str, int]) -> list[CommitOperationDelete]:
    from huggingface_hub import CommitOperationDelete

    if kind not in _REPLACED:
        return []
    there = api.list_repo_files(to.repo_id, repo_type=kind, revision=to.revision)
    return [CommitOperationDelete(name) for name in there if fnmatch(name, _REPLACED[kind]) and name not in files]
