"""What a session of the page is made of."""

import asyncio

import gradio as gr
from gradio.state_holder import SessionState

from demo.server.blocks import GuardedBlocks


def test_sessions_go_without_settings_and_answer_as_the_page_does() -> None:
    asyncio.run(use_a_session())  # where no event loop runs Gradio makes one, and leaves it open


async def use_a_session() -> None:
    with GuardedBlocks() as page:
        box, count = gr.Textbox("first"), gr.State(1)
        gr.on(
            [box.submit],
            lambda text, number: (gr.update(value=text.upper(), lines=3), number + 1),
            [box, count],
            [box, count],
        )
    session = SessionState(page)
    assert session.blocks_config.blocks == page.blocks
    assert session.blocks_config.fns == page.fns
    (event,) = page.fns.values()
    for text, counted in (("second", 2), ("third", 3)):
        answer = await page.process_api(event, [text, None], state=session)
        assert answer["data"][0]["value"] == text.upper()
        assert answer["data"][0]["lines"] == 3
        assert session[count._id] == counted
    assert not list(session.components)
    settings = {part["id"]: part["props"] for part in page.get_config_file()["components"]}
    assert settings[box._id]["value"] == "first"
