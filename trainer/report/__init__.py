"""The experiment's report: checkpoints and events in, Markdown with SVG figures out."""

from trainer.report.report import write_report

__all__ = ["write_report"]
