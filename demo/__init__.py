"""Quartet's app: the four models side by side. Gradio is known to the tabs and above only."""
