"""Fine-tuning jobs: what visitors start, where it runs, and what is left of it. No Gradio here.

`jobs` is what screens use. `store` remembers, `queue` runs one after the other on a `backend`
(`local`, `zero`, or `hub` with its `hub_worker`), `runner` watches one. `folders` gives a job what
it needs; `progress` and `estimate` tell how far and how long; `failures` and `words`, what is said.
`pictures` are what visitors teach, `sweep` keeps what `limits` promise.
"""
