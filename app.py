"""Opens Quartet: `python app.py`. A Hugging Face Space starts here too."""

from demo.interface import build_app, serve

app = build_app()

if __name__ == "__main__":
    serve(app)
