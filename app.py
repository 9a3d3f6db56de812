"""Opens Quartet: `python app.py`. A Hugging Face Space starts here too."""

import sys

from demo.interface import build_app, launch_options
from trainer.checkpoint import CheckpointError

try:
    app = build_app()
except (CheckpointError, ValueError) as error:
    sys.exit(f"error: {error}")

if __name__ == "__main__":
    app.launch(**launch_options())
