"""The report: from a race's records to one HTML page that opens without network, and to a film."""

from __future__ import annotations

from thalweg.report.film import write_video
from thalweg.report.report import write_report

__all__ = ["write_report", "write_video"]
