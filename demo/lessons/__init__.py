"""Four short lessons: what each runs (`table`), what its runs showed (`figures`), and what was
recorded of them over several seeds (`recorded`, written by `python -m bench.lessons`). No Gradio
and no sentences here: those are in `demo.words.lessons`.
"""
