"""What a visitor, or whoever runs the app, reads about jobs."""

from demo.faults import SENTENCES
from demo.jobs.backend import PAYERS_REPO
from trainer.wording import duration

REFUSALS = {
    "queue_full": "Too many jobs are waiting: try again in a few minutes.",
    "own_cap": (
        "You have {jobs} jobs running or waiting, which is the most: stop one, or wait for one."
    ),
    "sender_cap": (
        "{jobs} jobs from your address are running or waiting, which is the most: wait for one."
    ),
    "sender_day": (
        "{jobs} jobs were started from your address in a day, which is the most: try again "
        "tomorrow."
    ),
    "disk_full": "The server has no room for more jobs at the moment: try again in an hour.",
    "budget": "Today's time for jobs is used up: try again tomorrow.",
    "too_few_images": ("Training images: give {least} or more, or teach it pictures of your own."),
    "no_such_start": ("Choose another start: that job is not yours, has no model, or was deleted."),
    "not_stored": (
        "The job could not be stored ({reason}): tell whoever runs this app, and try again."
    ),
    "backend": "{reason}.",
    "picture_gone": (
        "A picture you taught is no longer here, so nothing was started: add it again, or start "
        "without it."
    ),
    "own_full": SENTENCES["own_too_many"],
    "pictures_full": "Too many pictures wait here for jobs: try again tomorrow.",
    "pictures_of_sender": (
        "{pictures} pictures were taught from your address in a day, which is the most: try again "
        "tomorrow."
    ),
    "picture_not_stored": (
        "The picture could not be stored ({reason}): tell whoever runs this app, and try again."
    ),
    "hub_incomplete": (
        "QUARTET_JOBS_REPO needs two more variables: SPACE_ID, the Space whose image jobs run in, "
        "and HF_TOKEN, which may start jobs and write that repository."
    ),
    "signin_incomplete": (
        "OAUTH_CLIENT_ID needs three more variables: OAUTH_CLIENT_SECRET, OAUTH_SCOPES and "
        "OPENID_PROVIDER_URL, as a Space has them whose README says hf_oauth: true."
    ),
    "payer_gone": (
        "You are no longer signed in: sign in again to pay for the job, or take the tick out."
    ),
    "publish_name": (
        "Repository name: give {most} letters, digits, '-', '_' or '.' at most, with a letter or a "
        "digit at both ends."
    ),
    "publish_not": "Sign in, and choose a job of yours that has a model.",
    "published_day": (
        "{models} models were published from your address in a day, which is the most: try again "
        "tomorrow."
    ),
    "hub_no_price": "QUARTET_JOBS_USD_A_DAY must be a number.",
}
"""Code of a `Refused` to its sentence, a format string over the facts."""

RESTARTED = "The app was restarted while the job ran: start it again."
RESTARTED_KEPT = "The app was restarted while the job ran."
OTHER_VERSION = "Another version of this app stored the job, and this one cannot read it."
KILLED = "The job was killed by the system, perhaps for want of memory."
NOT_SAVED = "It was stopped before its model could be saved."

FAULT_OF_OURS = (
    "The app met a fault of its own: start the job again, and tell whoever runs this app if that "
    "does not help."
)

ON_THIS_SERVER = "on this server"
LEFT_ON_HUB = (
    "Copies of a job's pictures and of its model also lie in a private repository on Hugging Face, "
    "until whoever runs this app deletes them there."
)

LEFT_WITH_PAYER = (
    f"Copies of the job's pictures and of its model also lie in your private repository "
    f"{PAYERS_REPO} on Hugging Face, until you delete them there."
)
PAYER_FORGOTTEN = "the app was restarted since, and no longer knows who pays: start it again"


def describe_not_started(reason: str) -> str:
    return f"The job could not be started ({reason}): tell whoever runs this app, and try again."


def describe_timeout(wall_s: float) -> str:
    return f"The job took longer than {duration(wall_s)}: choose fewer images or epochs."


def describe_timeout_kept(wall_s: float) -> str:
    return f"The job would have taken longer than {duration(wall_s)}, so it ended early."


def describe_memory_cap(memory_bytes: int) -> str:
    return f"The job needed more than {memory_bytes / 1e9:.1f} GB of memory: take smaller batches."


def describe_status(status: int) -> str:
    return f"The job ended with status {status} before it was done: start it again."


def describe_no_gpu(reason: str) -> str:
    return f"no GPU could be had ({reason}): start the job again without one"


def describe_hub(flavor: str) -> str:
    return f"on Hugging Face Jobs ({flavor})"


def describe_hub_fault(kind: str) -> str:
    return f"Hugging Face refused, or could not be reached: {kind}"


def describe_hub_end(message: str | None) -> str:
    return f"Hugging Face ended the job: {message or 'no reason given'}"


def describe_damaged_store(kept: str) -> str:
    return (
        f"The list of jobs is damaged: it was set aside as {kept}, and the app begins with an "
        f"empty one."
    )


def describe_no_store(reason: str) -> str:
    return (
        f"The list of jobs cannot be opened ({reason}): what was in it is not shown, and jobs are "
        f"forgotten when the app ends."
    )


def describe_unwritten(reason: str) -> str:
    return f"The list of jobs cannot be written now ({reason}); it will be tried again."
