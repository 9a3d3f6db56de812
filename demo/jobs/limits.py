"""What jobs and visitors may use, and how long what they leave is kept: declared once, for whoever
enforces it and whoever words the promise."""

from dataclasses import dataclass

DAY_S = 24 * 3600.0
EVALUATED = 1000
"""Images of the validation and the test split a job is measured on, where there are as many."""


@dataclass(frozen=True)
class Limits:
    """Of one app."""

    wall_s: float = 300.0
    """Of a job. It is asked to end so much earlier that it can still write its model."""
    memory_bytes: int = 6 * 2**30
    running: int = 1
    queued_of_owner: int = 3
    """That wait or run, of a token; and of an address, since tokens cost nothing."""
    queued: int = 30
    started_of_sender: int = 100
    """Jobs a day from an address: each leaves some 25 MB for as long."""
    published_of_sender: int = 20
    """Models a day that are published from an address."""
    kept_s: float = DAY_S
    """After its end a job and its files are swept."""
    pictures_kept_s: float = DAY_S
    """After it was taught a picture is swept; a job that was started with it has its own copy."""
    pictures: int = 20_000
    """Taught pictures of all visitors, some 3 kB each."""
    pictures_of_sender: int = 500
    """Taught a day from an address."""
    uploads_kept_s: float = 3600.0
    """After it arrived an uploaded file is swept."""
    free_bytes: int = 512 * 2**20
    """So much of the disk stays free: no job is taken below."""
    sweep_every_s: float = 300.0
    """So much later than promised anything may go."""
