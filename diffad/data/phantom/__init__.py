"""Phantoms: synthetic scans of heads, made by deforming the MNI152 template."""

from diffad.data.phantom.contrast import CONTRASTS as CONTRASTS
from diffad.data.phantom.lesion import KINDS as KINDS
from diffad.data.phantom.phantom import Phantom as Phantom
from diffad.data.phantom.phantom import make_phantom as make_phantom
from diffad.data.phantom.plan import PhantomOptions as PhantomOptions
from diffad.data.phantom.write import make_phantoms as make_phantoms
