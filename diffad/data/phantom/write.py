"""A data set of phantoms on disk: NIfTI files in a layout like BIDS, made once and then completed."""

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
from diffad.io.atomic import put_in_place, write_text
from diffad.io.scratch import scratch_folder
from diffad.io.text import read_json
from diffad.io.wording import shorten

DESCRIPTION = "dataset_description.json"
BRAIN, LESIONS = "desc-brain_mask", "lesions"
"""Last words of the names of brain masks, and folder of the lesion masks."""

ALIGNED_CODE = 2
"""NIfTI code of coordinates that are aligned to another scan: here, near the template."""

README = """Phantoms: synthetic scans ({modalities}), made by smooth deformations of the MNI152 template.
Nobody was scanned.

The folders train/ and val/ hold healthy subjects only; test/ holds healthy subjects and subjects with
lesions. Lesion masks are in lesions/; those of the healthy subjects of test/ are empty.

The data of a configuration file for `diffad train`, and the commands to predict and evaluate:

    data: {{name: volumes, root: {root}, mask: "*_desc-brain_mask.nii.gz"{sequences}}}
    diffad predict {root}/test --mask _desc-brain_mask --model MODEL --out maps{words}
    diffad evaluate maps --masks {root}/lesions
"""


def make_phantoms(out: str | Path, subjects: int, options: PhantomOptions, version: str = "") -> list[Plan]:
    """Make a data set of phantoms, or complete it.

    The folder of a subject appears when all its files are whole. Subject k is the same in a set of any size.

    Args:
        out: Folder of the data set: new, empty, or made with the same options.
        subjects: Number of subjects; further ones in the folder stay.
        options: Options of all subjects.
        version: Version of diffad, for the description.

    Returns:
        The subjects that were made now.

    Raises:
        ValueError: If the folder holds anything else, or the number is below 1.
        ImportError: If nilearn is missing.
        OSError: If a file cannot be written.
    """
    out = Path(out)
    if subjects < 1:
        raise ValueError(f"expected at least 1 subject, got {subjects}")
    _claim_folder(out, options, version)
    plans = [plan_subject(number, options) for number in range(subjects)]
    todo = [plan for plan in plans if not _subject_folder(out, plan).is_dir()]
    for plan in track(todo, "making phantoms"):
        phantom = make_phantom(options.seed, plan.number, options.modalities, options.spacing, plan.kind)
        _save_subject(phantom, plan, out)
        _write_participants(out, options)
    _write_participants(out, options)
    return todo


def list_finished_subjects(out: Path, options: PhantomOptions) -> list[Plan]:
    """List the subjects with a folder in a data set, in order."""
    digits = {folder.name.removeprefix("sub-") for folder in out.glob("*/sub-*")}
    plans = [plan_subject(n, options) for n in sorted(int(d) - 1 for d in digits if d.isdecimal() and int(d))]
    return [plan for plan in plans if _subject_folder(out, plan).is_dir()]


def scan_path(out: Path, subject: Plan, modality: str) -> Path:
    """Return the path of a scan of a subject."""
    return _subject_folder(out, subject) / "anat" / f"{subject.name}_{CONTRASTS[modality].name}.nii.gz"


def lesion_path(out: Path, subject: Plan) -> Path:
    """Return the path of the lesion mask of a subject of the test split."""
    return out / LESIONS / f"{subject.name}_lesion.nii.gz"


def _subject_folder(out: Path, subject: Plan) -> Path:
    return out / subject.split / subject.name


def _claim_folder(out: Path, options: PhantomOptions, version: str) -> None:
    """Check that the folder is new or made with the same options; describe a new one."""
    options_now = json.loads(json.dumps(asdict(options)))
    path = out / DESCRIPTION
    if not path.is_file():
        if out.exists() and (not out.is_dir() or any(p.name[0] != "." for p in out.iterdir())):
            raise ValueError(
                f"{out}: expected a new folder, or one of phantoms, found other files; choose another folder"
            )
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(_describe_dataset(options_now, version), indent=1) + "\n")
        write_text(out / "README", _format_readme(out, options))
        return
    try:
        options_then = dict(read_json(path)["Phantoms"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: expected the options of phantoms, found none; choose another folder"
        ) from error
    if differences := [name for name in options_now if options_then.get(name) != options_now[name]]:
        pair = (options_now, options_then)
        ours, theirs = (", ".join(f"{n} {_format_value(d.get(n))}" for n in differences) for d in pair)
        raise ValueError(f"{out}: expected phantoms with {ours}, found {theirs}; choose another folder")


def _describe_dataset(options: dict[str, Any], version: str) -> dict[str, Any]:
    generator = {"Name": "diffad phantom"} | ({"Version": version} if version else {})
    info = {"Name": "Phantoms", "BIDSVersion": "1.9.0", "DatasetType": "derivative"}
    return info | {"GeneratedBy": [generator], "Phantoms": options}


def _format_readme(out: Path, options: PhantomOptions) -> str:
    names = [CONTRASTS[m].name for m in options.modalities]
    # one rule of intensity cannot serve both, so a model gets MR or CT
    input_names = [CONTRASTS[m].name for m in options.modalities if not CONTRASTS[m].ct] or names
    several = len(names) > 1
    return README.format(
        root=out,
        modalities=", ".join(names),
        sequences=f", sequences: [{', '.join(input_names)}]" if several else "",
        words=f" --sequences {','.join(input_names)}" if several else "",
    )


def _save_subject(phantom: Phantom, plan: Plan, out: Path) -> None:
    like, target = _make_header_volume(phantom), _subject_folder(out, plan)
    with scratch_folder(out / plan.name) as folder:
        (folder / "anat").mkdir()
        for modality, image in phantom.images.items():
            name = scan_path(out, plan, modality).name
            like.save(image, folder / "anat" / name, dtype=np.int16)
        _save_mask(like, phantom.brain, folder / "anat" / f"{plan.name}_{BRAIN}.nii.gz")
        if plan.split == "test":  # an empty mask marks a healthy subject
            _save_mask(like, phantom.lesion, lesion_path(out, plan))
        target.parent.mkdir(exist_ok=True)
        put_in_place(folder, target)


def _save_mask(like: Volume, mask: Array, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    like.save(mask.astype(np.uint8), path, dtype=np.uint8)


def _make_header_volume(phantom: Phantom) -> Volume:
    """Return a volume with the header of all files of the subject."""
    header = nib.Nifti1Header()
    header.set_data_shape(phantom.brain.shape)
    header.set_qform(phantom.affine, ALIGNED_CODE)
    header.set_sform(phantom.affine, ALIGNED_CODE)
    header.set_xyzt_units("mm")
    return Volume(phantom.volume.data[:1], phantom.affine, Origin(header, phantom.affine, Path("phantom")))


def _write_participants(out: Path, options: PhantomOptions) -> None:
    rows: list[Sequence[Any]] = [("participant_id", "group", "split", "lesion", "seed")]
    for plan in list_finished_subjects(out, options):
        rows.append(
            (plan.name, "lesioned" if plan.kind else "healthy", plan.split, plan.kind or "n/a", options.seed)
        )
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
    write_text(out / "participants.tsv", text.getvalue())


def _format_value(value: Any) -> str:
    return shorten("/".join(map(str, value)) if isinstance(value, list) else value)
