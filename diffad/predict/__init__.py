"""Many scans at once: which there are, what was made of them, and from what."""

from diffad.io.subjects import Subject as Subject
from diffad.predict.options import Inputs as Inputs
from diffad.predict.options import Options as Options
from diffad.predict.run import predict_scans as predict_scans
from diffad.predict.runner import Cohort as Cohort
from diffad.predict.summary import CohortSummary as CohortSummary

Summary = CohortSummary  # the name in scripts of users
