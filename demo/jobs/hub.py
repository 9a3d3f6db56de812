"""Jobs on Hugging Face Jobs, for a Space whose owner names a repository for their results.

A job runs in the Space's own image, so with the same code and versions, as
`demo.jobs.hub_worker`; its log carries the events, and the checkpoint comes back through the
repository. A visitor who is signed in may have it run at their own cost: then it runs in their
namespace, with their token and a private repository of theirs, and nothing of the owner's goes
there. It has been tested against a local stand-in of the endpoints, and has not met the real
service.
"""

import contextlib
import json
import tempfile
import threading
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi, JobInfo

from demo.jobs import words
from demo.jobs.backend import EVENTS, LOG, NAME, PAYERS_REPO, SHIPPED, Order, Payer
from demo.jobs.environment import TOKEN, take_token
from demo.jobs.hub_worker import CHECKPOINTS, EVENT, INPUTS, OUTPUTS, SAVING_S, STOP
from demo.jobs.refusal import Refused
from trainer.recipe import BACKBONE_OF, PLAIN_BACKBONE, RECIPE_NAMES

SPACE_FOLDER = "/home/user/app"
"""Where a Space's image holds the repository."""
GRACE_S = 5.0
"""For a cancelled job's log to end."""
SUMMARY_EVERY_S = 1.0
"""Between two words of a job on how far it is."""
SECONDS = {"second": 1, "minute": 60, "hour": 3600}
"""Of the units that prices are given for."""


@dataclass(frozen=True)
class HubSettings:
    """What the Space's owner chose."""

    repo: str
    """`owner/name` of a private model repository that the token can write."""
    space: str
    """`owner/name` of the Space, whose image the jobs run in."""
    flavor: str
    """The hardware's name on Hugging Face."""
    usd_a_day: float
    """What all jobs of 24 hours may cost together."""
    token: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> "HubSettings | None":
        """The settings, or None where no repository is named. The token is taken out of the
        environment either way.

        Raises:
            Refused: one of the others is missing or no number.
        """
        token, repo = take_token(environment), environment.get("QUARTET_JOBS_REPO")
        if not repo:
            return None
        space = environment.get("SPACE_ID")
        if not space or not token:
            raise Refused("hub_incomplete")
        try:
            usd_a_day = float(environment.get("QUARTET_JOBS_USD_A_DAY", "1"))
        except ValueError as error:
            raise Refused("hub_no_price") from error
        flavor = environment.get("QUARTET_JOBS_FLAVOR", "t4-small")
        return cls(repo, space, flavor, usd_a_day, token)


@dataclass(frozen=True)
class Place:
    """Where a job runs, and at whose cost."""

    api: HfApi
    """With the token of who pays."""
    repo: str
    """For inputs and results."""
    namespace: str
    token: str = field(repr=False)


class HubBackend:
    """Starts jobs on Hugging Face Jobs."""

    leaves: str = words.LEFT_ON_HUB
    leaves_with_payer: str = words.LEFT_WITH_PAYER
    takes_payers = True
    full_data = True
    threads: int | None = None
    waiting_s = 900.0
    offers_gpu = False
    saving_s = 2 * SAVING_S
    """It asks whether to end every few seconds, and then the checkpoint is fetched."""

    def __init__(
        self,
        settings: HubSettings,
        wall_s: float,
        checkpoints: Path,
        endpoint: str | None = None,
    ) -> None:
        """
        Args:
            wall_s: after which Hugging Face ends a job.
            checkpoints: folder of the four. The image holds the shipped ones; of others a job gets
                its start's.
            endpoint: its address; default: the client's own.
        """
        self.place = words.describe_hub(settings.flavor)
        self._settings = settings
        self._wall_s = wall_s
        self._checkpoints = None if checkpoints.resolve() == SHIPPED else checkpoints
        self._endpoint = endpoint
        self._own = self._find_place(settings.repo, settings.token)
        self._payers: dict[str, Payer] = {}
        """Id of a job that waits, to who pays for it."""
        self._price_a_second: float | None = None

    @property
    def seconds_a_day(self) -> float:
        """What the owner's money buys."""
        return self._settings.usd_a_day / max(self.usd_a_second, 1e-9)

    @property
    def usd_a_second(self) -> float:
        """By the service's list.

        Raises:
            OSError: it could not be fetched, or names no such hardware.
        """
        if self._price_a_second is None:
            with _told_as_os_error():
                hardware = {one.name: one for one in self._own.api.list_jobs_hardware()}
                mine = hardware[self._settings.flavor]
                self._price_a_second = mine.unit_cost_usd / SECONDS[mine.unit_label]
        return self._price_a_second

    def admit(self, folder: Path, payer: Payer | None) -> None:
        if payer is not None:
            self._payers[folder.name] = payer

    def release(self, folder: Path) -> None:
        self._payers.pop(folder.name, None)

    def start(self, order: Order) -> "HubProcess":
        place = self._choose_place(order)
        path, settings = f"jobs/{order.folder.name}", order.settings
        if order.start is not None:
            settings = settings.changed(start=order.start.name)
        with _told_as_os_error():
            inputs = list(_list_inputs(order, path, self._checkpoints))
            if inputs:
                place.api.create_commit(place.repo, inputs, commit_message=f"Inputs of {path}")
            task = {
                "repo": place.repo,
                "path": path,
                "arguments": [
                    *settings.arguments(),
                    *("--name", NAME, "--summary-every-s", str(SUMMARY_EVERY_S)),
                ],
                "inputs": bool(inputs),
                "wall_s": self._wall_s,
            }
            job = place.api.run_job(
                image=f"hf.co/spaces/{self._settings.space}",
                command=["python", "-m", "demo.jobs.hub_worker", json.dumps(task)],
                env={"PYTHONPATH": SPACE_FOLDER},
                secrets={TOKEN: place.token},
                flavor=self._settings.flavor,
                timeout=self._wall_s,
                name=f"quartet-{order.folder.name}",
                namespace=place.namespace,
            )
        return HubProcess(place, path, job, order.folder)

    def end_orphan(self, identity: str) -> None:
        # Ended since, out of reach, or another's whose token is forgotten: its time limit holds.
        with contextlib.suppress(Exception):
            self._own.api.cancel_job(job_id=identity, namespace=self._own.namespace)

    def prepare(self) -> None:
        """Nothing: machines there are not ours to keep warm."""

    def close(self) -> None:
        """Nothing waits."""

    def _choose_place(self, order: Order) -> Place:
        """Where a job is to run.

        Raises:
            OSError: its payer is no longer known, or gives it no repository.
        """
        if not order.paid:
            return self._own
        payer = self._payers.pop(order.folder.name, None)
        if payer is None:
            raise OSError(0, words.PAYER_FORGOTTEN)
        place = self._find_place(f"{payer.name}/{PAYERS_REPO}", payer.token)
        with _told_as_os_error():
            place.api.create_repo(place.repo, private=True, exist_ok=True)
        return place

    def _find_place(self, repo: str, token: str) -> Place:
        return Place(HfApi(self._endpoint, token=token), repo, repo.partition("/")[0], token)


class HubProcess:
    """A job on Hugging Face, and the thread that follows it."""

    def __init__(self, place: Place, path: str, job: JobInfo, folder: Path) -> None:
        self.identity = job.id
        self._api, self._repo, self._namespace = place.api, place.repo, place.namespace
        self._path = path
        self._folder = folder
        self._status = 1
        self._thread = threading.Thread(target=self._follow, name=f"hub {job.id}", daemon=True)
        self._thread.start()

    @property
    def status(self) -> int:
        return self._status

    def wait(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def memory_bytes(self) -> int:
        return 0

    def ask_to_end(self) -> None:
        # The service can only kill a job; so it looks into the repository now and then.
        with contextlib.suppress(Exception):  # it goes on then, and its time limit ends it
            note = CommitOperationAdd(f"{self._path}/{STOP}", b"stop")
            self._api.create_commit(self._repo, [note], commit_message=f"End {self._path}")

    def end(self) -> None:
        if self._thread.is_alive():
            with contextlib.suppress(Exception):  # its time limit ends it then
                self._api.cancel_job(job_id=self.identity, namespace=self._namespace)
            self._thread.join(GRACE_S)

    def _follow(self) -> None:
        """Relays the log, and fetches the checkpoint at the end."""
        with (self._folder / LOG).open("a") as log:
            try:
                with (self._folder / EVENTS).open("a") as events:
                    for line in self._api.fetch_job_logs(
                        job_id=self.identity, namespace=self._namespace, follow=True
                    ):
                        file = events if line.startswith(EVENT) else log
                        file.write(f"{line.removeprefix(EVENT)}\n")
                        file.flush()
                job = self._api.wait_for_job(self.identity, namespace=self._namespace)
                if job.status is None or job.status.stage != "COMPLETED":
                    message = job.status.message if job.status else None
                    log.write(f"error: {words.describe_hub_end(message)}\n")
                    return
                self._fetch()
                self._status = 0
            except Exception as error:  # the client raises a dozen unrelated types
                log.write(f"error: {words.describe_hub_fault(type(error).__name__)}\n")

    def _fetch(self) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder) as temporary:
            for suffix in (".safetensors", ".predictions.safetensors", ".json"):
                name = f"{self._path}/{OUTPUTS}/{NAME}{suffix}"
                fetched = self._api.hf_hub_download(self._repo, name, local_dir=temporary)
                Path(fetched).rename(self._folder / f"{NAME}{suffix}")


def _list_inputs(order: Order, path: str, checkpoints: Path | None) -> Iterator[CommitOperationAdd]:
    """What the job needs of this machine, as additions to the repository: the visitor's pictures,
    the earlier job's weights, or the start among `checkpoints`."""
    for file in order.own.glob("*/*") if order.own else ():
        inside = file.relative_to(order.folder).as_posix()
        yield CommitOperationAdd(f"{path}/{INPUTS}/{inside}", file)
    if order.start is not None:
        yield CommitOperationAdd(f"{path}/{INPUTS}/{order.start.name}", order.start)
    elif checkpoints is not None:
        start = order.settings.start
        name = BACKBONE_OF if start == PLAIN_BACKBONE else start
        for suffix in (".safetensors", ".json") if name in RECIPE_NAMES else ():
            file = checkpoints / f"{name}{suffix}"
            yield CommitOperationAdd(f"{path}/{INPUTS}/{CHECKPOINTS}/{file.name}", file)


@contextlib.contextmanager
def _told_as_os_error() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the client raises a dozen unrelated types
        raise OSError(0, words.describe_hub_fault(type(error).__name__)) from error
