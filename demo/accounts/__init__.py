"""Who is signed in with Hugging Face. No Gradio here.

`openid` talks to the Hub, `sessions` remembers who came back from there. What a visitor's token may
do is theirs to allow; it stays in memory, and no process that decodes or trains gets it.
"""
