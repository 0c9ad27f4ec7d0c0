"""A pipeline as a folder: loaded, saved, and exchanged with a hub, by our door or by that of diffusers."""

from __future__ import annotations

import inspect
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from diffusers import DiffusionPipeline

from diffad.config import CONTRASTS
from diffad.engines import Engine
from diffad.hub import card, preprocessing
from diffad.hub.exchange import OPTIONS, download_folder, fetch_beside, upload_folder
from diffad.hub.thin import write_thin_files
from diffad.inference.contrasts import name_healthy_file
from diffad.inference.healthy import HealthyMaps
from diffad.inference.stored import INDEX, check_model
from diffad.io.atomic import write_text
from diffad.io.digests import write_digests
from diffad.models.coding import Coding
from diffad.models.folder import forget_path
from diffad.models.memory import Memory
from diffad.models.pretrained import (
    ModelError,
    check_classes,
    check_weights,
    incompatible_model,
    locate_model,
    quiet_loading,
)


class StoredPipeline(DiffusionPipeline):
    """What a pipeline does with folders; see ``AnomalyPipeline``."""

    healthy: HealthyMaps | None
    contrast_maps: dict[str, HealthyMaps]
    engine: Engine
    memory: Memory
    coding: Coding

    @property
    def channels(self) -> int:
        """How many sequences a scan has."""
        codec = self.coding.codec
        return int(self.network.config.in_channels if codec is None else codec.in_channels)

    @classmethod
    def from_pretrained(cls, name: str | Path, *, engine: str = "torch", **options: Any) -> Self:
        """Load a pipeline by the name of a shipped model, from a folder, or by hub id.

        Nothing is unpickled, and no class is imported but registered networks and diffusers schedulers.

        Args:
            name: Shipped name, folder, or OWNER/NAME on the hub.
            engine: What runs the denoising network, see ``to_engine``.
            options: Those of diffusers, such as ``revision`` (a branch, a tag or a commit of the hub),
                ``cache_dir``, ``local_files_only``, ``token`` and ``torch_dtype``.

        Raises:
            OSError: If there is no such model; the shipped ones are listed.
            ModelError: If its files do not fit together or ask for classes that are not registered parts.
        """
        folder = Path(locate_model(name))
        if not folder.is_dir():
            hub = {k: v for k, v in options.items() if k in OPTIONS}
            folder = Path(cls.download(str(name), use_safetensors=True, **hub))
        try:
            check_model(folder, inspect.signature(cls).parameters, options)
            with quiet_loading():
                pipe: Self = super().from_pretrained(str(folder), use_safetensors=True, **options)
        except Exception as error:  # whatever diffusers says of files from a stranger
            is_whole = isinstance(error, ModelError) and str(error).startswith(f"{name}: ")
            raise error if is_whole else incompatible_model(name, error) from error
        for part, network in pipe.networks.items():
            if part not in options:
                check_weights(folder / part, network)
        return pipe.to_engine(engine)

    def to_engine(self, name: str) -> Self:
        """Let an engine run the denoising network; noise, sampler and score stay in torch. Return itself.

        The network is exported when it is first called, beside the model or, where that takes no files, in a
        cache; see ``diffad.engines``.

        Args:
            name: "torch", "compile", "openvino" or "onnx".

        Raises:
            ValueError: If there is no such engine.
        """
        folder = Path(self.network.config.get("_name_or_path") or "/nowhere/network").parent
        self.engine = Engine(name, folder if folder.is_dir() else None)
        return self

    @classmethod
    def download(cls, pretrained_model_name: str, **options: Any) -> Path:
        """Fetch all files of a model from the hub; see ``diffad.hub.exchange``.

        Raises:
            OSError: If there is no such model, or it cannot be reached.
        """
        return download_folder(pretrained_model_name, **options)

    @classmethod
    def extract_init_dict(cls, config_dict: Mapping[str, Any], **options: Any) -> Any:
        """Refuse an index that names foreign classes, by whichever door it comes, before any is imported."""
        if "network" in config_dict:
            check_classes(config_dict, "model_index.json")
        return super().extract_init_dict(config_dict, **options)

    def register_to_config(self, **values: Any) -> None:
        """Store settings; the last that loading stores is where the pipeline, with its maps, came from."""
        super().register_to_config(**values)
        if "_name_or_path" in values:
            name, contrasts = str(values["_name_or_path"]), self.config.get("contrasts") or {}
            self.healthy = self._load_healthy(name, "", self.config.calibration)
            maps = {c: self._load_healthy(name, c, v.get("calibration")) for c, v in contrasts.items()}
            self.contrast_maps = {contrast: m for contrast, m in maps.items() if m is not None}

    def _load_healthy(self, name: str, contrast: str, calibration: Any) -> HealthyMaps | None:
        folder, file = Path(name), name_healthy_file(contrast)
        if not folder.is_dir():  # diffusers names a hub id alone; the weights know where they lie
            folder = Path(self.network.config.get("_name_or_path") or "/nowhere/network").parent
            needs_maps = self.config.postprocess["normalise"] == "place" and calibration
            if needs_maps and not (folder / file).exists():
                fetch_beside(folder, name, file)
        return HealthyMaps.load(folder, file)

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        custom_pipeline: bool = False,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **options: Any,
    ) -> None:
        """Write the pipeline to a folder, with checksums of its weights, which loading compares.

        Beside it lie a model card, ``README.md``, which is left alone once a person has edited it, and
        ``preprocessing.json``.

        Args:
            save_directory: Folder to write.
            custom_pipeline: Also write the files of ``diffad.hub.thin``, by which diffusers loads the folder
                where nobody imported diffad; ``from_pretrained`` never runs them.
            push_to_hub: Also commit the folder to a hub, see ``push_to_hub``.
            repo_id: Where to; by default the name of the folder.
            options: More of ``push_to_hub`` with it, else of diffusers.

        Raises:
            OSError: If it cannot be written.
        """
        folder = Path(save_directory)
        names = ("revision", "commit_message", "private", "token", "create_pr", "tags")
        exchange = {name: options.pop(name) for name in names if name in options}
        super().save_pretrained(str(folder), **options)
        for path in (folder / INDEX, *folder.glob("*/*config.json")):
            forget_path(path)
        for contrast, maps in {"": self.healthy, **dict.fromkeys(CONTRASTS), **self.contrast_maps}.items():
            if maps is None:
                (folder / name_healthy_file(contrast)).unlink(missing_ok=True)
            else:
                maps.save(folder, name_healthy_file(contrast))
        write_digests(folder, folder.rglob("*.safetensors"))
        values = preprocessing.describe_preprocessing(self.config, self.channels)
        write_text(folder / preprocessing.FILE, json.dumps(values, indent=1) + "\n")
        tags = exchange.pop("tags", ())
        card.write_card(folder, self.config, self.network, repo_id, tags, self.channels)
        if custom_pipeline:
            write_thin_files(folder, type(self), self.networks)
        if push_to_hub:
            upload_folder(folder, repo_id or folder.resolve().name, **exchange)

    def push_to_hub(
        self,
        repo_id: str,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | bool | None = None,
        create_pr: bool = False,
        *,
        revision: str | None = None,
        tags: Sequence[str] = (),
        **options: Any,
    ) -> str:
        """Commit the pipeline to a repository of the hub, with a card that names library and tags.

        Args:
            repo_id: OWNER/NAME, or NAME for one's own; made where there is none.
            commit_message: Message of the commit.
            private: Whether a new repository is private; none leaves it to the hub.
            token: Access token, or none for the stored one.
            create_pr: Ask for a merge instead of committing.
            revision: Branch to commit to, made where there is none; none for the main one.
            tags: More tags of the card than the usual ones.
            options: More of ``save_pretrained``.

        Returns:
            Address of the commit.

        Raises:
            OSError: If the hub cannot be reached, or refuses.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, repo_id=repo_id, tags=tags, **options)
            exchange: dict[str, Any] = {"private": private, "token": token, "create_pr": create_pr}
            return upload_folder(
                Path(folder), repo_id, revision=revision, commit_message=commit_message, **exchange
            )
