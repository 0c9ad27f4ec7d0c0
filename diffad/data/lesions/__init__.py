"""Implanted lesions: changes of a scan with known kind, place and extent."""

from diffad.data.lesions.implant import ImplantedLesion as ImplantedLesion
from diffad.data.lesions.implant import implant as implant
from diffad.data.lesions.implant import implant_all as implant_all
from diffad.data.lesions.kinds import KINDS as KINDS
