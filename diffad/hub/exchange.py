"""Model folders up to a hub and down from it; code and pickles never come down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffad.io.wording import MAX_LINE, shorten
from diffad.models.folder import ModelError

FILES = ("*.json", "*.safetensors", "README.md")
"""What is fetched of a repository: the index, configs, weights, healthy maps, checksums and the card."""
OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token")
"""Options of loading that are for the download."""


def download_folder(repo_id: str, **options: Any) -> Path:
    """Fetch a model from a hub, or find it in the local cache, all files of one commit.

    Args:
        repo_id: OWNER/NAME.
        options: Those of ``OPTIONS``; the revision is a branch, a tag or a commit.

    Raises:
        OSError: If there is no such model, or it cannot be reached.
    """
    from huggingface_hub import snapshot_download

    options = {name: value for name, value in options.items() if name in OPTIONS}
    try:
        return Path(snapshot_download(repo_id, allow_patterns=list(FILES), **options))
    except (OSError, ValueError) as error:
        what = f"no revision {options['revision']} of one" if options.get("revision") else "none"
        reason = shorten(str(error).strip().split("\n")[0], MAX_LINE)
        raise OSError(
            f"{repo_id}: expected a model folder, a shipped name or a model on the hub, found {what} "
            f"({type(error).__name__}: {reason})"
        ) from error


def fetch_beside(folder: Path, repo_id: str, name: str) -> Path:
    """Fetch one more file of a downloaded folder, of the same commit.

    Args:
        folder: Folder of the commit in the cache of the hub.
        repo_id: OWNER/NAME.
        name: Name of the file.

    Raises:
        ModelError: If it cannot be fetched.
    """
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(repo_id, name, revision=folder.name, cache_dir=folder.parents[2]))
    except (OSError, ValueError, IndexError) as error:
        raise ModelError(
            f"{repo_id}: expected {name} beside its weights, found no way to fetch it "
            f"({type(error).__name__}); load it by diffad.AnomalyPipeline.from_pretrained"
        ) from error


def upload_folder(
    folder: Path,
    repo_id: str,
    *,
    revision: str | None = None,
    commit_message: str | None = None,
    private: bool | None = None,
    token: str | bool | None = None,
    create_pr: bool = False,
) -> str:
    """Commit a model folder to a repository, which is made where there is none.

    A card that is there already may have been edited by a person, and stays.

    Args:
        folder: What ``save_pretrained`` wrote.
        repo_id: OWNER/NAME, or NAME for one's own.
        revision: Branch to commit to, made where there is none; none for the main one.
        commit_message: Message of the commit.
        private: Whether a new repository is private; none leaves it to the hub.
        token: Access token, or none for the stored one.
        create_pr: Ask for a merge instead of committing.

    Returns:
        Address of the commit.

    Raises:
        OSError: If the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="diffad")
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    if revision is not None:
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    own_card: Sequence[str] = (
        ["README.md"] if api.file_exists(repo_id, "README.md", revision=revision) else []
    )
    commit = api.upload_folder(
        repo_id=repo_id,
        folder_path=folder,
        revision=revision,
        commit_message=commit_message or "Upload AnomalyPipeline",
        create_pr=create_pr,
        ignore_patterns=[*own_card, "engines/*"],  # made anew wherever they are needed
    )
    return str(commit.commit_url)
