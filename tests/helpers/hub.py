"""A stand-in for the hub of models: the same addresses and file layout, in memory, on this machine."""

import base64
import contextlib
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

FILE = re.compile(r"^/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)$")
API = re.compile(
    r"^/api/models/(?P<repo>[^/]+/[^/]+)(?:/(?P<verb>[\w-]+)(?:/(?P<revision>[^/]+))?)?(?:/.*)?$"
)


class LocalHub:
    """Repositories as {name: {branch: {path: content}}}, with every commit that there was.

    ``requests`` lists what was asked for, as "GET /path".
    """

    def __init__(self):
        self.repos, self.commits, self.requests = {}, {}, []

    def create(self, repo):
        self.repos[repo] = {}
        self.write(repo, "main", {})

    def write(self, repo, branch, files):
        self.repos[repo][branch] = dict(files)
        names = json.dumps([repo, sorted((p, hashlib.sha1(c).hexdigest()) for p, c in files.items())])
        commit = hashlib.sha1(names.encode()).hexdigest()
        self.commits[commit] = dict(files)
        return commit

    def find(self, repo, revision):
        """Commit and files of a branch or a commit; a KeyError where there are none."""
        files = self.commits[revision] if revision in self.commits else self.repos[repo][revision]
        return self.write_again(repo, files), files

    def write_again(self, repo, files):
        names = json.dumps([repo, sorted((p, hashlib.sha1(c).hexdigest()) for p, c in files.items())])
        return hashlib.sha1(names.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    hub = None

    def log_message(self, *words):
        pass

    def answer(self, value=None, status=200, headers=(), content=None):
        content = json.dumps(value).encode() if content is None else content
        self.send_response(status)
        for name, text in {"Content-Length": str(len(content)), **dict(headers)}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def refuse(self, code):
        self.answer({"error": code}, 404, {"X-Error-Code": code, "X-Error-Message": code})

    def do_GET(self):
        path = unquote(urlparse(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if found := FILE.match(path):
            return self.give_file(**found.groupdict())
        if path.startswith("/api/whoami"):
            return self.answer({"type": "user", "name": "tester", "orgs": []})
        found = API.match(path)
        return self.give_listing(**found.groupdict()) if found else self.refuse("RepoNotFound")

    do_HEAD = do_GET

    def give_file(self, repo, revision, path):
        if repo not in self.hub.repos:
            return self.refuse("RepoNotFound")
        try:
            commit, files = self.hub.find(repo, revision)
        except KeyError:
            return self.refuse("RevisionNotFound")
        if path not in files:
            return self.refuse("EntryNotFound")
        etag = hashlib.sha1(files[path]).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Content-Type": "application/octet-stream"}
        return self.answer(content=files[path], headers=headers)

    def give_listing(self, repo, verb, revision):
        if repo not in self.hub.repos:
            return self.refuse("RepoNotFound")
        try:
            commit, files = self.hub.find(repo, revision or "main")
        except KeyError:
            return self.refuse("RevisionNotFound")
        if verb == "tree":
            rows = [
                {"type": "file", "path": p, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                for p, c in files.items()
            ]
            return self.answer(rows)
        siblings = [{"rfilename": path} for path in sorted(files)]
        return self.answer(
            {"id": repo, "modelId": repo, "sha": commit, "private": False, "siblings": siblings, "tags": []}
        )

    def do_POST(self):
        path = unquote(urlparse(self.path).path)
        self.hub.requests.append(f"POST {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/repos/create":
            return self.create(json.loads(body))
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        found = API.match(path)
        return getattr(self, f"post_{found['verb']}")(found["repo"], found["revision"], body)

    def create(self, values):
        repo = f"{values.get('organization') or 'tester'}/{values['name']}"
        if repo in self.hub.repos:
            return self.answer({"url": f"{self.address}/{repo}"}, 409)
        self.hub.create(repo)
        return self.answer({"url": f"{self.address}/{repo}"})

    @property
    def address(self):
        return f"http://{self.headers['Host']}"

    def post_branch(self, repo, revision, body):
        if revision in self.hub.repos[repo]:
            return self.answer({"error": "exists"}, 409)
        self.hub.write(repo, revision, self.hub.repos[repo]["main"])
        return self.answer({})

    def post_preupload(self, repo, revision, body):
        paths = [file["path"] for file in json.loads(body)["files"]]
        return self.answer(
            {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in paths]}
        )

    def post_commit(self, repo, revision, body):
        files = dict(self.hub.repos[repo][revision])
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = self.hub.write(repo, revision, files)
        url = f"{self.address}/{repo}/commit/{commit}"
        return self.answer({"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})


@contextlib.contextmanager
def serve_hub(monkeypatch, cache):
    """Run a hub, and let huggingface_hub of this process talk to it and to nobody else."""
    from huggingface_hub import constants, hf_api

    hub = LocalHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(hf_api.api, "endpoint", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
