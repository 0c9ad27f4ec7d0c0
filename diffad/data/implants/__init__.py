"""Sets of whole brains with implanted lesions of known kind, place and volume."""

from diffad.data.implants.painted import paint_scans as paint_scans
from diffad.data.implants.write import ImplantSet as ImplantSet
from diffad.data.implants.write import require_empty as require_empty
from diffad.data.implants.write import write_implants as write_implants
