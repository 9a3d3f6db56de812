"""What a job can start from, and what each start fills the form with."""

import json
from collections.abc import Sequence
from typing import Any

from demo.jobs.jobs import EARLIER, Jobs
from demo.jobs.limits import EVALUATED
from demo.jobs.store import Job
from demo.models import Models
from demo.tabs.form import to_browser
from demo.tabs.visitor import Visitor
from demo.words.common import start_label
from trainer.recipe import BACKBONE_OF, PLAIN_BACKBONE, PRESETS, JobSettings


class Starts:
    """The four models, the backbone, and the visitor's jobs that have a model."""

    def __init__(self, models: Models, jobs: Jobs) -> None:
        self._records, self._jobs = models.records, jobs

    def list_choices(self, mine: Sequence[Job]) -> list[tuple[str, str]]:
        """(label, start) of each."""
        return [(start_label(start), start) for start in self._names(mine)]

    def own_settings(self, start: str, visitor: Visitor) -> JobSettings:
        """What the start was trained with itself; of one that is not there, the backbone's."""
        job = self._jobs.find(start.removeprefix(EARLIER), *visitor.secrets)
        if job is not None and job.settings is not None:
            return job.settings.changed(start=start, evaluated=EVALUATED)
        record = self._records.get(start) or self._records.get(BACKBONE_OF)
        recipe = record.recipe if record else PRESETS["default"][BACKBONE_OF]
        return JobSettings.like(recipe, start, evaluated=EVALUATED)

    def list_fills(self, mine: Sequence[Job], visitor: Visitor) -> dict[str, dict[str, Any]]:
        """For the browser: each start to its own settings. The form is filled there, at once: an
        answer that took its time would overwrite what was typed meanwhile."""
        return {start: to_browser(self.own_settings(start, visitor)) for start in self._names(mine)}

    def _names(self, mine: Sequence[Job]) -> list[str]:
        earlier = [f"{EARLIER}{job.id}" for job in mine if self._jobs.has_model(job)]
        return [*self._records, PLAIN_BACKBONE, *earlier]


FILL = """(names, start, fills, shown) =>
  fills?.[start] ? names.map((name) => fills[start][name]) : shown"""


def write_fill(names: Sequence[str]) -> str:
    """JavaScript (start, fills, *shown) that gives the values of these settings."""
    return f"(start, fills, ...shown) => ({FILL})({json.dumps(list(names))}, start, fills, shown)"


def write_go_on(names: Sequence[str]) -> str:
    """JavaScript (shown job, fills, start, *shown) that gives the start of that job and the values
    of these settings."""
    return f"""(job, fills, start, ...shown) => {{
  const earlier = {json.dumps(EARLIER)} + job.split(".")[0];
  if (!fills?.[earlier]) return [start, ...shown];
  document.getElementById("setting-start")?.scrollIntoView({{block: "center"}});
  return [earlier, ...({FILL})({json.dumps(list(names))}, earlier, fills, shown)];
}}"""
