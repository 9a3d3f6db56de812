"""The app's server around Gradio's: routes of our own, and limits in front of every route.

`gate` stands before everything and uses the rest: `routes` knows what is open, `addresses` who
asks, `demo.rates` and `room` how much they may, `bodies` how a request is read. `api` answers at
`/v1`, `turnstile` shares its places; `signin` lets visitors in and out, where the owner wants that.
`health`, `figures` and `log` tell the owner. `queue` and `blocks` are Gradio's own, with guards;
`connections` and `lifecycle` are about sockets, starting and ending.
"""
