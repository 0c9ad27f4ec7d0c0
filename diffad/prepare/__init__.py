"""From a scanner's file to a volume that a model can look at, and the way back to the scanner's grid."""

from diffad.prepare.options import PrepareOptions as PrepareOptions
from diffad.prepare.prepared_scan import PreparedScan as PreparedScan
from diffad.prepare.run import prepare as prepare

# the names in scripts of users
Options = PrepareOptions
Prepared = PreparedScan
