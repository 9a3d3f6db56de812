"""What of the environment is secret, and what processes get that train."""

import ctypes
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

TOKEN = "HF_TOKEN"
"""Of the variable that holds the token for Hugging Face."""
NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV"),
        *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
        *("HF_HOME", "HF_ENDPOINT", "HF_HUB_CACHE", "HF_HUB_OFFLINE"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SYSTEMROOT"),
    }
)
PREFIXES = ("QUARTET_", "LC_", "LD_", "XDG_", "CUDA_", "NVIDIA_", "TORCH_", "PYTORCH_", "OMP_",
            "MKL_", "KMP_", "NCCL_", "MALLOC_")  # fmt: skip
"""What a trainer may need. Whatever else the owner of the app has set may be a secret."""


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a process gets that trains."""
    return {
        name: value
        for name, value in environment.items()
        if name in NAMES or name.startswith(PREFIXES)
    }


def take_token(environment: MutableMapping[str, str], name: str = TOKEN) -> str:
    """A secret, by default the token, or nothing; from then on it is in no environment that a child
    could inherit, nor in what the system shows of this process's own (`/proc/PID/environ`) to its
    children."""
    token = environment.pop(name, "")
    if token and environment is os.environ:
        _wipe(token.encode())
    return token


def _wipe(secret: bytes) -> None:
    """Overwrites a value where the system put it when the process began, on Linux."""
    try:
        # Fields 50 and 51, of which two stand before the last parenthesis: proc(5).
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[47]), int(fields[48])
    except (OSError, IndexError, ValueError):
        return
    if not 0 < start < end:
        return
    given = ctypes.string_at(start, end - start)
    at = given.find(b"=" + secret + b"\0")
    while at >= 0:
        ctypes.memset(start + at + 1, 0, len(secret))
        at = given.find(b"=" + secret + b"\0", at + 1)
