"""Golden files: inputs and outputs of official implementations, run against this installation."""

from likewise.testing.golden.case import Case, Folders
from likewise.testing.golden.kinds import KINDS, Judged, Skip
from likewise.testing.golden.runner import Result, as_json, run_file, summary, verify

__all__ = ["KINDS", "Case", "Folders", "Judged", "Result", "Skip", "as_json", "run_file", "summary", "verify"]
