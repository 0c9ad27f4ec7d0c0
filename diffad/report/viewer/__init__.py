"""Web pages of results that work offline: one of each scan, and one of a cohort."""

from diffad.report.viewer.index import IndexRow as IndexRow
from diffad.report.viewer.index import write_index as write_index
from diffad.report.viewer.page import write_page as write_page
