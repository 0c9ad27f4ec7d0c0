"""Models on this machine and on the hub: found, fetched and published as folders."""

from __future__ import annotations

import shutil
from pathlib import Path

from diffad.hub.exchange import download_folder, upload_folder
from diffad.inference.candidates import Candidate
from diffad.inference.stored import INDEX
from diffad.io.atomic import staged_folder
from diffad.io.text import read_json
from diffad.models.pretrained import list_shipped_models, locate_model


def list_local_models() -> dict[str, Path]:
    """Return the folders of models that need no network, by name: shipped ones, and those fetched before."""
    return list_shipped_models() | _list_cached_models()


def _list_cached_models() -> dict[str, Path]:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repos = scan_cache_dir().repos
    except (CacheNotFound, OSError):
        return {}
    folders: dict[str, Path] = {}
    for repo in sorted(repos, key=lambda repo: repo.repo_id):
        if repo.repo_type == "model" and repo.revisions:
            newest = max(repo.revisions, key=lambda revision: revision.last_modified)
            if _is_pipeline(newest.snapshot_path):
                folders[repo.repo_id] = newest.snapshot_path
    return folders


def _is_pipeline(folder: Path) -> bool:
    path = folder / INDEX
    try:
        return path.is_file() and read_json(path).get("_class_name") == "AnomalyPipeline"
    except (ValueError, OSError, AttributeError):
        return False


def find_local_model(name: str) -> Path:
    """Return the folder of a model by its name, hub id or path, without asking the network.

    Raises:
        OSError: If it is not here.
    """
    place = Path(locate_model(name))
    if place.is_dir():
        return place.resolve()
    models = _list_cached_models()
    if name not in models:
        raise FileNotFoundError(f"{name}: expected a model that is here; fetch it: diffad models pull {name}")
    return models[name]


def pull_model(hub_id: str, out: Path | None = None, revision: str | None = None) -> Path:
    """Fetch a model from the hub and check its files.

    Args:
        hub_id: OWNER/NAME.
        out: New folder for it; the cache of the hub by default.
        revision: Branch, tag or commit; the newest by default.

    Raises:
        OSError: If it cannot be fetched or written, or there is something in ``out``.
        ModelError: If its files do not fit together.
    """
    if out is not None and out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out}: expected a new folder, found files in it")
    folder = download_folder(hub_id, revision=revision)
    Candidate.read(str(folder))
    if out is None:
        return folder
    with staged_folder(out) as partial:
        shutil.copytree(folder, partial, dirs_exist_ok=True)  # the links of the cache become files
    return out


def push_model(folder: Path, hub_id: str, revision: str | None = None, private: bool = False) -> str:
    """Publish a model, after a check of its files; return its address.

    Args:
        folder: Folder of the pipeline.
        hub_id: OWNER/NAME; made if there is none.
        revision: Branch; made if there is none; the main one by default.
        private: Let only its owner see a repository that is made anew.

    Raises:
        OSError: If there is no such folder, or the hub refuses.
        ModelError: If its files do not fit together.
    """
    Candidate.read(str(folder))
    try:
        return upload_folder(folder, hub_id, revision=revision, private=private or None)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise OSError(f"{hub_id}: expected a hub that takes the model, found {reason}") from error
