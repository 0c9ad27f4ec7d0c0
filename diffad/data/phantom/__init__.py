"""Phantoms: scans of heads that never lived, bent from the MNI152 anatomy."""

from diffad.data.phantom.contrast import CONTRASTS as CONTRASTS
from diffad.data.phantom.lesion import KINDS as KINDS
from diffad.data.phantom.plan import Options as Options
from diffad.data.phantom.subject import Phantom as Phantom
from diffad.data.phantom.subject import phantom as phantom
from diffad.data.phantom.write import make as make
