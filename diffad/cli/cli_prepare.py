"""The command that makes scans ready for a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from diffad.io.subjects import Subject


class Modality(StrEnum):
    """What a scan was made with."""

    mri = "mri"
    ct = "ct"


class Brain(StrEnum):
    """How a brain is found."""

    auto = "auto"
    deepbet = "deepbet"
    threshold = "threshold"
    given = "given"
    none = "none"


class Register(StrEnum):
    """What a scan may be moved by."""

    affine = "affine"
    rigid = "rigid"
    none = "none"


class Units(StrEnum):
    """What becomes of a CT with a forgotten offset."""

    check = "check"
    shift = "shift"


def prepare(
    scan: Annotated[
        list[Path], typer.Argument(metavar="SCAN", help="NIfTI scans, folders of them, or a BIDS tree.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the prepared scans; nothing in it is overwritten.")],
    modality: Annotated[Modality, typer.Option(help="ct expects Hounsfield units.")] = Modality.mri,
    brain: Annotated[
        Brain, typer.Option(help="auto is given with --mask, else deepbet (mri) or threshold (ct).")
    ] = Brain.auto,
    register: Annotated[Register, typer.Option(help="Registration to MNI152.")] = Register.affine,
    bias: Annotated[bool, typer.Option(help="Correct the bias field of an MRI (N4).")] = True,
    spacing: Annotated[float, typer.Option(help="Voxel size in mm; 0 keeps the scan's own grid.")] = 1.0,
    mask: Annotated[
        str, typer.Option(metavar="FILE|SUFFIX", help="Brain masks: one file, or the end of their names.")
    ] = "",
    together: Annotated[
        bool, typer.Option("--together", help="The scans are sequences of one subject, reference first.")
    ] = False,
    sequences: Annotated[
        str, typer.Option(metavar="A,B", help="Ends of the names of a subject's sequences, reference first.")
    ] = "",
    hu: Annotated[
        Units, typer.Option(help="A CT without its offset of -1024: refuse, or shift.")
    ] = Units.check,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the registration's samples.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help="Threads; 0 takes all cores.")] = 0,
) -> None:
    """Make scans ready for a model: brain found, bias field removed, registered to MNI152, resampled.

    A scan becomes NAME.nii.gz, NAME_brain_mask.nii.gz, NAME_to_native.txt (prepared mm to scan mm),
    NAME_xfm.tfm (the same for ITK) and last NAME_prepare.json, which says what was done and how well it
    went. Finished scans are skipped, failed ones told at the end; exit code 1 if any failed.

    \b
    Examples:
      diffad prepare sub-01_T1w.nii.gz --out prepared
      diffad prepare t1.nii.gz flair.nii.gz --together --out prepared
      diffad prepare bids/ --sequences T1w,FLAIR --out prepared
      diffad prepare ct.nii.gz --modality ct --register rigid --out prepared
      diffad predict prepared/ --mask _brain_mask --model ixi-t1-axial --out maps
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.io.subjects import parse_mask
    from diffad.prepare.options import PrepareOptions

    way = "given" if mask and brain is Brain.auto else "" if brain is Brain.auto else brain.value
    size = spacing or None
    options = PrepareOptions(
        modality.value, bias, way, register.value, size, hu=hu.value, seed=seed, threads=threads
    )
    if mask and way != "given":
        raise ValueError(f"--mask: expected --brain given or auto beside a mask, got {way}")
    masks = parse_mask(mask) if mask else None
    found = _subjects(scan, out, masks, together, [s for s in sequences.split(",") if s])
    raise typer.Exit(_run(found, out, options, masks))


def _subjects(
    scan: list[Path], out: Path, mask: str | Path | None, together: bool, sequences: list[str]
) -> list[Subject]:
    from diffad.io import subjects as cohort
    from diffad.io.nifti import stem

    if together and not sequences:
        if folders := [path for path in scan if path.is_dir()]:
            raise ValueError(f"{folders[0]}: expected files with --together, found a folder; see --sequences")
        return [cohort.Subject(stem(scan[0]), tuple(scan))]
    search = cohort.find_scans(scan, out, mask)
    own = "_brain_mask"  # what this command itself writes beside a scan
    kept = [path for path in search.scans if not stem(path).endswith(own)]
    return cohort.group_subjects(kept, sequences)


def _run(found: list[Subject], out: Path, options: object, mask: str | Path | None) -> int:
    from diffad.io.terminal import Progress, say
    from diffad.prepare.batch import prepare_all
    from diffad.prepare.options import PrepareOptions

    assert isinstance(options, PrepareOptions)
    with Progress(len(found)) as progress:
        summary = prepare_all(found, out, options, mask, progress.scan, say)
    print(f"{summary}; see {out}")
    for name, why in summary.failed.items():
        say(f"failed {name}: {why}")
    return 1 if summary.failed else 0
