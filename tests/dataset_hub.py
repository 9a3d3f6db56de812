"""A local stand-in for the Hub's endpoints of one data set, over HTTP."""

import contextlib
import re
from collections.abc import Iterator

from tests.standin import COMMIT, StandIn, hash_content, serving


@contextlib.contextmanager
def running_dataset_hub(repo: str, files: dict[str, bytes]) -> Iterator[str]:
    """Serves the files of a data set until the end of the block; yields the address."""

    class Handler(StandIn):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith(f"/api/datasets/{repo}/revision/"):
                siblings = [{"rfilename": name} for name in files]
                self.answer({"id": repo, "sha": COMMIT, "siblings": siblings})
            elif path.startswith(f"/api/datasets/{repo}/tree/"):
                self.answer(
                    [
                        {"type": "file", "path": name, "size": len(one), "oid": hash_content(one)}
                        for name, one in files.items()
                    ]
                )
            elif match := re.fullmatch(rf"/datasets/{repo}/resolve/[^/]+/(.+)", path):
                self.send_file(files.get(match[1]))
            else:
                self.send_error(404)

        do_HEAD = do_GET

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}"
