"""Pages of HTML that stand alone: one file, no network, for a browser that is offline."""

from ecgexp.report.page.document import document
from ecgexp.report.page.runs import Axis, Entry, write_runs_page

__all__ = ["Axis", "Entry", "document", "write_runs_page"]
