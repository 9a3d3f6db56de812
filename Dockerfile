# Quartet's app, for a Docker Space or any machine with Docker: see docs/hosting.md.
# Nothing of it is written to at run time but /data, and no step runs as root once it is built.

FROM python:3.12-slim-bookworm AS build
ENV UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
RUN pip install --no-cache-dir "uv>=0.9,<1"
COPY requirements.txt pillow-override.txt ./
# The CPU's torch, a tenth of the one with CUDA. Gradio still asks for a Pillow below 13, whose
# decoders are the newer ones; what the app uses of Pillow is its own (trainer/picture.py).
RUN uv venv /venv \
    && uv pip install --python /venv/bin/python --no-cache --torch-backend cpu \
        --override pillow-override.txt --requirement requirements.txt

FROM python:3.12-slim-bookworm
RUN useradd --uid 1000 --create-home user \
    && mkdir /data && chown user /data
COPY --from=build /venv /venv
WORKDIR /app
COPY app.py ./
COPY trainer trainer
COPY demo demo
COPY checkpoints checkpoints
COPY docs/lessons.json docs/lessons.json
RUN /venv/bin/python -m compileall -q app.py trainer demo
USER 1000
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_TEMP_DIR=/tmp/quartet-uploads \
    HF_HOME=/tmp/huggingface \
    MPLCONFIGDIR=/tmp/matplotlib \
    QUARTET_CACHE=/data/cache \
    QUARTET_HOME=/data/home
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]
CMD ["python", "app.py"]
