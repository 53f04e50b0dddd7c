"""A Hub on the loopback: enough of the Hub's HTTP interface for huggingface_hub's real client to push and pull.

    python tests/made/loopback_hub.py [PORT]

`hf_writer` and `hf_reader` are its tokens; clients need HF_ENDPOINT and HF_HUB_DISABLE_XET=1. Everything is in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from hub_cards import card_errors
from hub_repos import Refused, Repo

WRITER, READER = "hf_writer", "hf_reader"
_LFS_SUFFIXES = (".safetensors", ".parquet", ".png")
_KIND = r"(?P<kind>model|dataset|space)s/(?P<repo>[^/]+/[^/]+)"


class LoopbackHub:
    """The server; use it as a context manager.

    Attributes:
        repos: (kind, id) to repository. blobs: LFS objects by their SHA-256.
        fail_after: LFS uploads that succeed before the Hub breaks down; None: it never does.
        uploads: names of the LFS objects that were sent, in order. log: requests as (method, path, status).
    """

    def __init__(self, port: int = 0) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.fail_after: int | None = None
        self.uploads: list[str] = []
        self.log: list[tuple[str, str, int]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.hub, self._server.daemon_threads = self, True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> LoopbackHub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: object, token: str | None = WRITER, offline: bool = False) -> dict[str, str]:
        """Variables that lead a client here, with its cache in the folder `home`."""
        variables = {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "1" if offline else "0",
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }
        return variables | ({"HF_TOKEN": token} if token else {})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> LoopbackHub:
        return self.server.hub

    def log_message(self, *_) -> None:
        """Nothing: the hub has a log of its own."""

    def do_GET(self) -> None:
        self._answer(_GET)

    def do_HEAD(self) -> None:
        self._answer(_GET)

    def do_POST(self) -> None:
        self._answer(_POST)

    def do_PUT(self) -> None:
        self._answer(_PUT)

    def _answer(self, routes: list) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        try:
            for pattern, serve in routes:
                if match := re.fullmatch(pattern, path):
                    serve(self, **match.groupdict())
                    return
            raise Refused(404, f"no such route: {self.command} {path}")
        except Refused as refused:
            self._send(
                refused.status,
                {"error": refused.message},
                {"X-Error-Message": refused.message, "X-Error-Code": refused.code},
            )

    def _send(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.hub.log.append((self.command, self.path, status))
        self.send_response(status)
        answer = {"Content-Length": str(len(body)), "Content-Type": "application/json"} | (headers or {})
        for name, value in answer.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def token(self) -> str | None:
        """The token given, which must be one of ours."""
        given = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if given not in (None, WRITER, READER):
            raise Refused(401, "Invalid credentials in Authorization header")
        return given

    def may_write(self) -> None:
        token = self.token()
        if token is None:
            raise Refused(401, "Invalid username or password.")
        if token != WRITER:
            raise Refused(403, "You don't have the rights to create a model under this namespace")

    def find(self, kind: str, repo: str, content: bool = False) -> Repo:
        """A repository that the caller may see; with `content`, whose files it may read."""
        token = self.token()
        found = self.hub.repos.get((kind, repo))
        if found is None or (found.private and token is None):
            raise Refused(401 if token is None else 404, "Repository not found", "RepoNotFound")
        if content and found.gated and token != WRITER:
            raise Refused(403, f"Access to {kind} {repo} is restricted", "GatedRepo")
        return found


def who(self: _Handler) -> None:
    if self.token() is None:
        raise Refused(401, "Invalid username or password.")
    self._send(200, {"type": "user", "name": "org", "orgs": [], "auth": {"accessToken": {"role": "write"}}})


def create(self: _Handler) -> None:
    self.may_write()
    request = json.loads(self.body)
    kind = request.get("type") or "model"
    name = f"{request.get('organization') or 'org'}/{request['name'].rpartition('/')[2]}"
    url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{name}"
    if (kind, name) in self.hub.repos:
        self._send(409, {"error": "You already created this repo", "url": url})
        return
    repo = self.hub.repos[(kind, name)] = Repo(
        private=bool(request.get("private") or request.get("visibility") == "private")
    )
    repo.commit("main", {".gitattributes": b""})
    self._send(200, {"url": url, "id": name, "name": name})


def create_branch(self: _Handler, kind: str, repo: str, branch: str) -> None:
    self.may_write()
    found = self.find(kind, repo)
    if branch in found.branches:
        raise Refused(409, "Reference already exists")
    found.branches[branch] = found.branches["main"]
    self._send(200, {})


def validate(self: _Handler) -> None:
    request = json.loads(self.body)
    errors = card_errors(request["content"], request.get("repoType") or "model")
    self._send(400 if errors else 200, {"errors": [{"message": one} for one in errors], "warnings": []})


def preupload(self: _Handler, kind: str, repo: str, revision: str) -> None:
    self.may_write()
    self.find(kind, repo).at(revision)
    files = json.loads(self.body)["files"]
    modes = [
        {
            "path": file["path"],
            "uploadMode": "lfs" if file["path"].endswith(_LFS_SUFFIXES) else "regular",
            "shouldIgnore": False,
        }
        for file in files
    ]
    self._send(200, {"files": modes})


def lfs_batch(self: _Handler, repo: str) -> None:
    self.may_write()
    objects = []
    for one in json.loads(self.body)["objects"]:
        answer = {"oid": one["oid"], "size": one["size"]}
        if one["oid"] not in self.hub.blobs:
            answer["actions"] = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}}
        objects.append(answer)
    self._send(200, {"transfer": "basic", "objects": objects})


def lfs_put(self: _Handler, oid: str) -> None:
    if self.hub.fail_after is not None and len(self.hub.uploads) >= self.hub.fail_after:
        raise Refused(400, "the line broke")  # a status that the client does not try again
    if hashlib.sha256(self.body).hexdigest() != oid:
        raise Refused(422, "content does not match its hash")
    self.hub.blobs[oid] = self.body
    self.hub.uploads.append(oid)
    self._send(200, {})


def commit(self: _Handler, kind: str, repo: str, revision: str) -> None:
    self.may_write()
    found = self.find(kind, repo)
    files = dict(found.at(revision)[1])
    for line in self.body.splitlines():
        answer = json.loads(line)
        value = answer["value"]
        if answer["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif answer["key"] == "lfsFile":
            files[value["path"]] = self.hub.blobs[value["oid"]]
        elif answer["key"] == "deletedFile":
            del files[value["path"]]
    oid = found.commit(revision, files)
    url = f"{self.hub.url}/{'' if kind == 'model' else kind + 's/'}{repo}/commit/{oid}"
    self._send(200, {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""})


def info(self: _Handler, kind: str, repo: str, revision: str | None = None) -> None:
    found = self.find(kind, repo)
    oid, files = found.at(revision or "main")
    answer = {
        "id": repo,
        "modelId": repo,
        "sha": oid,
        "private": found.private,
        "gated": "manual" if found.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "lastModified": "2026-01-01T00:00:00.000Z",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "siblings": [{"rfilename": name} for name in sorted(files)],
    }
    self._send(200, answer)


def tree(self: _Handler, kind: str, repo: str, revision: str, folder: str | None = None) -> None:
    _, files = self.find(kind, repo).at(revision)
    start = f"{folder}/" if folder else ""
    inside = sorted(name for name in files if name.startswith(start))
    if start and not inside:
        raise Refused(404, f"{folder} does not exist", "EntryNotFound")
    folders = {"/".join(name.split("/")[:k]) for name in inside for k in range(1, name.count("/") + 1)}
    entries = [
        {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
        for name in sorted(folders)
        if name.startswith(start)
    ]
    entries += [_entry(name, files[name]) for name in inside]
    if self.query.get("recursive", "false").lower() not in ("true", "1"):
        entries = [entry for entry in entries if "/" not in entry["path"].removeprefix(start)]
    self._send(200, entries)


def paths_info(self: _Handler, kind: str, repo: str, revision: str) -> None:
    _, files = self.find(kind, repo).at(revision)
    text = self.body.decode()
    paths = json.loads(text)["paths"] if text.startswith("{") else parse_qs(text)["paths"]
    found = [_entry(name, files[name]) for name in paths if name in files]
    folders = [name for name in paths if any(other.startswith(f"{name.rstrip('/')}/") for other in files)]
    self._send(200, found + [{"type": "directory", "oid": "0" * 40, "size": 0, "path": name} for name in folders])


def _entry(name: str, content: bytes) -> dict:
    answer = {"type": "file", "oid": hashlib.sha1(content).hexdigest(), "size": len(content), "path": name}
    if name.endswith(_LFS_SUFFIXES):
        answer["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return answer


def refs(self: _Handler, kind: str, repo: str) -> None:
    branches = self.find(kind, repo).branches.items()
    answer = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": oid} for name, oid in branches]
    self._send(200, {"branches": answer, "converts": [], "tags": []})


def resolve(self: _Handler, repo: str, revision: str, name: str, kind: str = "model") -> None:
    oid, files = self.find(kind, repo, content=True).at(revision)
    if name not in files:
        raise Refused(404, "Entry not found", "EntryNotFound")
    content = files[name]
    lfs = name.endswith(_LFS_SUFFIXES)
    etag = hashlib.sha256(content).hexdigest() if lfs else hashlib.sha1(content).hexdigest()
    answer = {
        "ETag": f'"{etag}"',
        "X-Repo-Commit": oid,
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    if lfs:
        answer |= {"X-Linked-Size": str(len(content)), "X-Linked-Etag": f'"{etag}"'}
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
    if span is None:
        self._send(200, content, answer)
        return
    first, last = int(span[1]), min(int(span[2] or len(content) - 1), len(content) - 1)
    answer["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    self._send(206, content[first : last + 1], answer)


_GET = [
    (r"/api/whoami-v2", who),
    (rf"/api/{_KIND}/refs", refs),
    (rf"/api/{_KIND}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", tree),
    (rf"/api/{_KIND}/revision/(?P<revision>[^/]+)", info),
    (rf"/api/{_KIND}", info),
    (r"/(?P<kind>dataset|space)s/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)", resolve),
    (r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)", resolve),
]
_POST = [
    (r"/api/repos/create", create),
    (r"/api/validate-yaml", validate),
    (rf"/api/{_KIND}/branch/(?P<branch>[^/]+)", create_branch),
    (rf"/api/{_KIND}/preupload/(?P<revision>[^/]+)", preupload),
    (rf"/api/{_KIND}/commit/(?P<revision>[^/]+)", commit),
    (rf"/api/{_KIND}/paths-info/(?P<revision>[^/]+)", paths_info),
    (r"/(?:datasets/|spaces/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", lfs_batch),
]
_PUT = [(r"/lfs/(?P<oid>[0-9a-f]{64})", lfs_put)]


if __name__ == "__main__":
    with LoopbackHub(int(sys.argv[1]) if len(sys.argv) > 1 else 0) as served:
        print(served.url, flush=True)
        threading.Event().wait()
