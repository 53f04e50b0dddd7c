"""Repositories of the loopback Hub: branches, commits and files in memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field


class Refused(Exception):  # noqa: N818 (an answer, not a fault)
    """The answer to a request that is not granted."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


@dataclass
class Repo:
    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)  # commit to path to content
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        names = json.dumps(
            [len(self.commits), branch, sorted((k, hashlib.sha1(v).hexdigest()) for k, v in files.items())]
        )
        oid = hashlib.sha1(names.encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        return oid

    def at(self, revision: str) -> tuple[str, dict[str, bytes]]:
        oid = self.branches.get(revision, revision)
        if oid not in self.commits:
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return oid, self.commits[oid]
