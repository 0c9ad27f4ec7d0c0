"""The model card of a folder: what the model is, takes and is not, with the front matter of a hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffad.hub.facts import list_facts, name_pipeline
from diffad.threshold.sensitivity import Sensitivity, describe_sensitivity

FILE = "README.md"
MARK = "<!-- diffad wrote this card and writes it anew; take this line out to keep your own -->"
LIBRARY = "diffad"
TAGS = ("anomaly-detection", "diffusion", "medical-imaging", "neuroimaging")
PLACEHOLDER = "THIS_FOLDER"
NOTICE = "**Research only. Not a medical device; not validated on patients.**"
CARD = """{front}
{mark}
# {name}

Rebuilds a scan of the brain as a healthy one and maps where the two differ.

{notice}

```python
import diffad

pipe = diffad.AnomalyPipeline.from_pretrained("{place}")
out = pipe("scan.nii.gz")
out.plot()
```

## What it is
| | |
|---|---|
{facts}

`preprocessing.json` says what is done to a scan before the network sees it, for other programs.

## What it finds
{sensitivity}

## Made by
{provenance}

## Limits
It knows scans like those it was trained on. A threshold holds for the scanner and the people that it was
measured on; measure it anew on your own healthy scans with `diffad calibrate`. A map is no diagnosis.
"""


def write_card(
    folder: Path,
    config: Mapping[str, Any],
    network: Any,
    place: str | None = None,
    tags: Sequence[str] = (),
    channels: int | None = None,
) -> Path:
    """Write ``README.md`` to the folder of a model; a card that a person wrote or edited is left as it is.

    Args:
        folder: Folder of the model.
        config: Settings of the pipeline.
        network: The network that denoises.
        place: What the model will be loaded by, such as an id on the hub; none where nobody knows.
        tags: More tags than the usual ones.
        channels: Sequences of a scan; none where they are the channels of the network.

    Raises:
        OSError: If it cannot be written.
    """
    path = folder / FILE
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return path
    path.write_text(format_card(config, network, place or PLACEHOLDER, tags, channels), encoding="utf-8")
    return path


def format_card(
    config: Mapping[str, Any],
    network: Any,
    place: str,
    tags: Sequence[str] = (),
    channels: int | None = None,
) -> str:
    """Return the card of a model, see ``write_card``."""
    facts = [f"| {title} | {_escape(text)} |" for title, text in list_facts(config, network, channels)]
    return CARD.format(
        front=format_front(config, tags),
        mark=MARK,
        name=_escape(name_pipeline(config)),
        notice=NOTICE,
        place=place,
        facts="\n".join(facts),
        sensitivity=_describe_findings(config),
        provenance=_describe_provenance(config),
    )


def format_front(config: Mapping[str, Any], tags: Sequence[str] = ()) -> str:
    """Return the YAML by which a hub files the model: its library, its task and its tags."""
    modality = "brain-ct" if config["space"]["intensity"] == "ct" else "brain-mri"
    words = list(dict.fromkeys([*TAGS, modality, *tags]))
    lines = ["---", f"library_name: {LIBRARY}", "pipeline_tag: image-segmentation"]
    return "\n".join([*lines, f"tags: [{', '.join(words)}]", "---"])


def _describe_findings(config: Mapping[str, Any]) -> str:
    rows = (config.get("calibration") or {}).get("sensitivity") or ()
    if not rows:
        return (
            "Nobody has measured yet which lesions it finds at its thresholds.\n"
            "`diffad calibrate --sensitivity N` does, on lesions implanted in N healthy scans."
        )
    head = "Of lesions implanted in healthy scans, the share that is found, and that of their voxels:"
    return "\n".join([head, "", *describe_sensitivity([Sensitivity.from_dict(row) for row in rows])])


def _describe_provenance(config: Mapping[str, Any]) -> str:
    values = dict(config.get("provenance") or {})
    lines = [f"- {_escape(str(key))}: `{_escape(str(value))}`" for key, value in values.items()]
    return "\n".join(lines) or "Nothing is stored of how it was trained."


def _escape(text: str) -> str:
    """Make text of others one line that is no Markdown of its own."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
