"""Which contrast a series has: by what its description says, else by its times."""

from __future__ import annotations

import re

from diffad.dicom.header import ImageHeader

T1, T1_AGENT, T2, FLAIR, PD, CT = "T1", "T1 after a contrast agent", "T2", "FLAIR", "PD", "CT"
UNKNOWN = "unknown"
STRUCTURAL = (T1, FLAIR, T2, PD, T1_AGENT, CT)
"""Contrasts of anatomy; everything else is a map or a function."""

_EDGE, _END = r"(?:^|[^a-z0-9])", r"(?:$|[^a-z0-9])"
_WORDS = (
    ("ADC", rf"{_EDGE}adc|apparent.?diff"),
    ("FA", rf"{_EDGE}(?:fa|colfa|fractional.?aniso\w*){_END}"),
    ("perfusion", r"perf|cbf|cbv|mtt|ttp|tmax|dsc|dce|asl(?:$|[^a-z])|pcasl|pasl"),
    ("diffusion", r"dwi|dti|diff|trace|ep2d|b1000|tensor|dki|noddi"),
    ("angiography", r"tof|angio|(?:^|[^a-z])mra|mrv|pc3d|cta(?:$|[^a-z])"),
    ("function", r"bold|fmri|rest(?:ing)?[_-]?state|task[_-]"),
    ("spectroscopy", r"svs|spectro|mrs(?:$|[^a-z])|csi"),
    ("field map", r"field.?map|b0.?map|b1.?map|gre.?field"),
    ("susceptibility", r"swi|swan|t2\s*\*|t2star|t2.?\*|hemo|qsm|mip.?sw|venobold"),
    (
        "localiser",
        r"locali[sz]er|scout|survey|topogram|3.?pl(?:$|[^a-z])|3.?plan|plan.?scan|smartbrain|loc(?:$|[^a-z])",
    ),
    (T1, r"t1.{0,8}flair"),
    (FLAIR, r"flair|dark.?fluid|tirm|da.?fl(?:$|[^a-z])"),
    (T2, rf"{_EDGE}t2|blade|propeller|ciss|fiesta"),
    (T1, rf"{_EDGE}t1|t1w|mp.?rage|mp2rage|spgr|bravo|tfl(?:$|[^a-z])|vibe|brainvo|mdeft"),
    (T2, r"t2w|t2(?:$|[^a-z0-9*])"),
    (PD, rf"{_EDGE}pd(?:w)?{_END}|proton|dens"),
)
_AGENT = re.compile(r"(?:post|gado\w*|[^a-z]gd|[^a-z]ce|\+\s*c|[^a-z]km|contrast|t1c|mit.?km)(?:$|[^a-z])")
_PLAIN = re.compile(r"(?:pre|without|w/?o|ohne|no|non)[^a-z]*(?:contrast|gado|gd|km)")
PHASES = {"P": "phase", "PHASE": "phase", "PHASE MAP": "phase", "R": "real part", "I": "imaginary part"}


def guess_contrast(header: ImageHeader) -> str:
    """Return the contrast of a series: of anatomy, or the name of another kind, or "unknown"."""
    matches = _read_words(header)
    if header.get_text("Modality").upper() == CT:
        return matches if matches in ("perfusion", "angiography", "localiser") else CT
    if matches in (T2, PD, UNKNOWN) and _has_two_names(header):
        matches = UNKNOWN  # pd+t2: the echo time tells them apart
    contrast = matches if matches != UNKNOWN else guess_by_times(header)
    return T1_AGENT if contrast == T1 and _has_agent(header) else contrast


def _read_words(header: ImageHeader) -> str:
    for keyword in ("SeriesDescription", "ProtocolName", "SequenceName"):
        text = header.get_text(keyword).lower()
        finding = [name for name, pattern in _WORDS if text and re.search(pattern, text)]
        if finding:
            return finding[0]
    return UNKNOWN


def _has_two_names(header: ImageHeader) -> bool:
    text = header.get_text("SeriesDescription").lower()
    return "pd" in text and "t2" in text


def _has_agent(header: ImageHeader) -> bool:
    text = header.get_text("SeriesDescription").lower()
    if _PLAIN.search(text):
        return False
    agent = header.get_text("ContrastBolusAgent").strip().lower()
    return bool(_AGENT.search(f" {text}")) or agent not in ("", "no", "none", "n", "0")


def guess_by_times(header: ImageHeader) -> str:
    """Guess the contrast of an MRI by echo, repetition and inversion times, in ms.

    T1: short echo, with a short repetition, an inversion of 300 to 1500 ms or a gradient echo. FLAIR: an
    inversion of at least 1500 ms and a long echo. PD and T2: long repetition, short and long echo.
    """
    echo, repetition, inversion = (
        header.get_number(k) for k in ("EchoTime", "RepetitionTime", "InversionTime")
    )
    if inversion >= 1500 and echo >= 60:
        return FLAIR
    if 300 <= inversion <= 1500 and echo < 30:
        return T1
    if echo < 30 and repetition < 1000:
        return T1
    if repetition >= 1500 and echo < 45:
        return PD
    return T2 if repetition >= 1500 and echo >= 60 else UNKNOWN


def name_part(header: ImageHeader) -> str:
    """Say which part of a complex image this is; empty for the magnitude."""
    return next((PHASES[word] for word in header.image_type[2:] if word in PHASES), "")
