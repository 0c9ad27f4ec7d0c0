"""Layouts of data sets on disk, one file each: they turn folders into entries."""

from diffad.data.layouts import atlas as atlas
from diffad.data.layouts import behrendt as behrendt
from diffad.data.layouts import bercea as bercea
from diffad.data.layouts import bmad as bmad
from diffad.data.layouts import brats as brats
from diffad.data.layouts import fastmri as fastmri
from diffad.data.layouts import ixi as ixi
from diffad.data.layouts import medianomaly as medianomaly
from diffad.data.layouts import mslub as mslub
from diffad.data.layouts import slices as slices
from diffad.data.layouts import table as table
from diffad.data.layouts import uadimag as uadimag
from diffad.data.layouts import upd as upd
from diffad.data.layouts import wmh as wmh
