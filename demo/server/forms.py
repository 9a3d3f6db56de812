"""The picture and the words of a form (`multipart/form-data`) that is whole in memory."""

import logging
from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from demo.server.refusal import Declined
from demo.words import server as words

# It warns of every broken form: whoever sends those would write the owner's log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

PARTS = 4
"""Of a form; there are two fields."""


def read_form(body: bytes, content_type: bytes) -> dict[str, bytes]:
    """Field name to content; of files the content alone, for a name says nothing to us.

    Raises:
        Declined: it is no form, or has too many fields.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _no_form()
    fields: list[tuple[bytes, bytearray]] = []
    header: list[bytes] = [b"", b""]

    def begin() -> None:
        if len(fields) >= PARTS:
            raise _no_form()
        fields.append((b"", bytearray()))

    def add_to(index: int) -> Callable[[bytes, int, int], None]:
        def add(data: bytes, start: int, end: int) -> None:
            header[index] += data[start:end]

        return add

    def end_header() -> None:
        if header[0].lower() == b"content-disposition":
            _, named = parse_options_header(header[1])
            fields[-1] = (named.get(b"name", b""), fields[-1][1])
        header[:] = [b"", b""]

    def take(data: bytes, start: int, end: int) -> None:
        fields[-1][1].extend(memoryview(data)[start:end])

    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": begin,
                "on_header_field": add_to(0),
                "on_header_value": add_to(1),
                "on_header_end": end_header,
                "on_part_data": take,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _no_form() from error
    return {name.decode("latin-1"): bytes(content) for name, content in fields}


def _no_form() -> Declined:
    return Declined(400, words.NO_FORM, "form")
