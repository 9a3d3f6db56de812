"""Opens Quartet: `python app.py`. A Hugging Face Space starts here too."""

from demo.interface import build_app, launch_options

app = build_app()

if __name__ == "__main__":
    app.launch(**launch_options())
