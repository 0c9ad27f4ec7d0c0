"""From a scanner's file to a volume that a model can look at, and the way back to the scanner's grid."""

from diffad.prepare.options import Options as Options
from diffad.prepare.prepared import Prepared as Prepared
from diffad.prepare.run import prepare as prepare
