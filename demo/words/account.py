"""Words of signing in, of publishing a model, and of paying for a job."""

from demo.jobs.backend import PAYERS_REPO

SIGN_IN, SIGN_OUT = "Sign in with Hugging Face", "Sign out"
WHY = "Your jobs are then yours on every device, and you can publish their models."
WHY_ONLY_JOBS = "Your jobs are then yours on every device."
REPO, PRIVATE, PUBLISH = "Repository name", "Private", "Publish this model"
REPO_INFO = "It is made in your account on Hugging Face, with the model, its figures and its card."
PAY = "Pay for it yourself"
PAY_INFO = (
    "It runs on Hugging Face Jobs in your account; its pictures and its model pass through your "
    f"private repository {PAYERS_REPO}."
)
NOT_SIGNED_IN = "You are not signed in: Hugging Face refused, or could not be reached. Try again."
NOT_BEGUN_HERE = (
    "You are not signed in: this browser did not begin that in the last ten minutes. Try again."
)
PUBLISHED = "Published:"
BACK = "Back to Quartet"


def describe_account(name: str) -> str:
    return f"Signed in as {name}. New jobs are your account's; this browser's own stay here too."


def describe_price(usd: float) -> str:
    """What a job costs who pays for it, at most."""
    return f"It costs you ${usd:.2f} at most." if usd >= 0.01 else "It costs you less than a cent."
