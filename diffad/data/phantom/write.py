"""A data set of phantoms on disk: NIfTI files in a BIDS-like layout, made once and then kept."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from diffad.data.phantom.contrast import CONTRASTS
from diffad.data.phantom.phantom import Phantom, make_phantom
from diffad.data.phantom.plan import PhantomOptions, Plan, plan_subject
from diffad.data.progress import track
from diffad.data.volume import Array, Origin, Volume
from diffad.io.atomic import put_in_place, scratch_folder, write_text

DESCRIPTION = "dataset_description.json"
BRAIN, LESIONS = "desc-brain_mask", "lesions"
"""Last words of the names of brain masks, and folder of the lesion masks."""

ALIGNED = 2
"""NIfTI code of coordinates that are aligned to another scan: near the template, but not the same."""

README = """Phantoms: smooth deformations of the MNI152 template with {modalities}; nobody was scanned.

train/ and val/ hold healthy subjects only; test/ holds healthy and lesioned ones. Lesion masks lie in
lesions/, empty for the healthy subjects of test/.

    data: {{name: volumes, root: {root}, mask: "*_desc-brain_mask.nii.gz"{sequences}}}
    diffad predict {root}/test --mask _desc-brain_mask --model MODEL --out maps{words}
    diffad evaluate maps --masks {root}/lesions
"""


def make_phantoms(out: str | Path, subjects: int, options: PhantomOptions, version: str = "") -> list[Plan]:
    """Make a data set of phantoms, or what is missing of it.

    A subject's folder appears when all its files are whole. Subject k is the same in a set of any size.

    Args:
        out: Folder of the data set: new, empty, or made with the same options.
        subjects: How many subjects there should be; more that are there stay.
        options: What they are made with.
        version: Version of diffad, to be written down.

    Returns:
        The subjects that were made now.

    Raises:
        ValueError: If the folder holds anything else, or no subject is asked for.
        ImportError: If nilearn is missing.
        OSError: If a file cannot be written.
    """
    out = Path(out)
    if subjects < 1:
        raise ValueError(f"expected at least 1 subject, got {subjects}")
    _claim(out, options, version)
    plans = [plan_subject(number, options) for number in range(subjects)]
    missing = [p for p in plans if not _folder(out, p).is_dir()]
    for p in track(missing, "making phantoms"):
        made = make_phantom(options.seed, p.number, options.modalities, options.spacing, p.kind)
        _save(made, p, out)
        _list(out, options)
    _list(out, options)
    return missing


def list_finished(out: Path, options: PhantomOptions) -> list[Plan]:
    """Return the subjects of a data set that are there, in order; ``plan_subject`` knows their split."""
    digits = {folder.name.removeprefix("sub-") for folder in out.glob("*/sub-*")}
    plans = [plan_subject(n, options) for n in sorted(int(d) - 1 for d in digits if d.isdecimal() and int(d))]
    return [p for p in plans if _folder(out, p).is_dir()]


def scan_path(out: Path, subject: Plan, modality: str) -> Path:
    """Return where a scan of a subject lies."""
    return _folder(out, subject) / "anat" / f"{subject.name}_{CONTRASTS[modality].name}.nii.gz"


def lesion_path(out: Path, subject: Plan) -> Path:
    """Return where the lesion mask of a subject of the test split lies."""
    return out / LESIONS / f"{subject.name}_lesion.nii.gz"


def _folder(out: Path, subject: Plan) -> Path:
    return out / subject.split / subject.name


def _claim(out: Path, options: PhantomOptions, version: str) -> None:
    """Check that the folder is ours to fill, and say what with."""
    wanted = json.loads(json.dumps(asdict(options)))
    path = out / DESCRIPTION
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(p.name[0] != "." for p in out.iterdir())):
            raise ValueError(f"{out}: expected a new folder, or one of phantoms, found other files")
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(_description(wanted, version), indent=1) + "\n")
        write_text(out / "README", _readme(out, options))
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["Phantoms"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected the options of phantoms, found none") from error
    if different := [name for name in wanted if found.get(name) != wanted[name]]:
        ours, theirs = (", ".join(f"{n} {_words(d.get(n))}" for n in different) for d in (wanted, found))
        raise ValueError(f"{out}: expected phantoms with {ours}, found {theirs}; choose another folder")


def _description(options: dict[str, Any], version: str) -> dict[str, Any]:
    made = {"Name": "diffad phantom"} | ({"Version": version} if version else {})
    named = {"Name": "Phantoms", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    return named | {"GeneratedBy": [made], "Phantoms": options}


def _readme(out: Path, options: PhantomOptions) -> str:
    names = [CONTRASTS[m].name for m in options.modalities]
    # one rule of intensity cannot serve both, so a model looks at MR or at CT
    magnetic = [CONTRASTS[m].name for m in options.modalities if not CONTRASTS[m].ct] or names
    several = len(names) > 1
    return README.format(
        root=out,
        modalities=", ".join(names),
        sequences=f", sequences: [{', '.join(magnetic)}]" if several else "",
        words=f" --sequences {','.join(magnetic)}" if several else "",
    )


def _save(made: Phantom, subject: Plan, out: Path) -> None:
    like, target = _like(made), _folder(out, subject)
    with scratch_folder(out / subject.name) as folder:
        (folder / "anat").mkdir()
        for modality, image in made.images.items():
            name = scan_path(out, subject, modality).name
            like.save(image, folder / "anat" / name, dtype=np.int16)
        _save_mask(like, made.brain, folder / "anat" / f"{subject.name}_{BRAIN}.nii.gz")
        if subject.split == "test":  # an empty mask tells that a subject is healthy
            _save_mask(like, made.lesion, lesion_path(out, subject))
        target.parent.mkdir(exist_ok=True)
        put_in_place(folder, target)


def _save_mask(like: Volume, mask: Array, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    like.save(mask.astype(np.uint8), path, dtype=np.uint8)


def _like(made: Phantom) -> Volume:
    """Return a volume that hands its header down to all files of the subject."""
    header = nib.Nifti1Header()
    header.set_data_shape(made.brain.shape)
    header.set_qform(made.affine, ALIGNED)
    header.set_sform(made.affine, ALIGNED)
    header.set_xyzt_units("mm")
    return Volume(made.volume.data[:1], made.affine, Origin(header, made.affine, Path("phantom")))


def _list(out: Path, options: PhantomOptions) -> None:
    rows: list[Sequence[Any]] = [("participant_id", "group", "split", "lesion", "seed")]
    for p in list_finished(out, options):
        rows.append((p.name, "lesioned" if p.kind else "healthy", p.split, p.kind or "n/a", options.seed))
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    write_text(out / "participants.tsv", text.getvalue())


def _words(value: Any) -> str:
    return "/".join(map(str, value)) if isinstance(value, list) else str(value)
