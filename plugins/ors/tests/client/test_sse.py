"""Events are read from bytes as the standard says, however the bytes are cut."""

import json

import pytest

from trainwright_ors.client.sse import Event, SseError, SseParser

STREAMS = {
    "CRLF": (b"event: end\r\ndata: x\r\n\r\n", [Event("end", "x")]),
    "LF": (b"event: end\ndata: x\n\n", [Event("end", "x")]),
    "CR": (b"event: end\rdata: x\r\rdata: y\r\r", [Event("end", "x"), Event("message", "y")]),
    "mixed ends": (b"data: a\r\ndata: b\rdata: c\n\r\n", [Event("message", "a\nb\nc")]),
    "one space goes, the others stay": (b"data:   two\n\n", [Event("message", "  two")]),
    "no space": (b"data:x\n\n", [Event("message", "x")]),
    "only spaces": (b"data:" + b" " * 5001 + b"\n\n", [Event("message", " " * 5000)]),
    "other line separators are text": (
        "data: a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg\n\n".encode(),
        [Event("message", "a\u2028b\u2029c\x0bd\x0ce\x85f\x1cg")],
    ),
    "empty data": (b"event: error\ndata\n\n", [Event("error", "")]),
    "empty data twice": (b"data\ndata\n\n", [Event("message", "\n")]),
    "no data, no event": (b"event: end\n\ndata: x\n\n", [Event("message", "x")]),
    "lines without a colon, unknown fields": (b"odd\nretry: 3\nid: 4\ndata: x\n\n", [Event("message", "x")]),
    "comments": (b": ping - now\r\n\r\ndata: x\n: in between\ndata: y\n\n", [Event("message", "x\ny")]),
    "byte order mark": (b"\xef\xbb\xbfdata: x\n\n", [Event("message", "x")]),
    "not ended": (b"data: x\n\ndata: lost\n", [Event("message", "x")]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("name", STREAMS)
def test_events_do_not_depend_on_how_the_stream_is_cut(name, size):
    stream, wanted = STREAMS[name]
    parser = SseParser(10_000)
    found = [event for at in range(0, len(stream), size) for event in parser.feed(stream[at : at + size])]
    assert found == wanted


def test_pieces_of_json_that_begin_with_spaces_join_to_the_whole():
    whole = json.dumps({"text": " " * 9000})
    pieces = [whole[at : at + 4096] for at in range(0, len(whole), 4096)]
    stream = b"".join(b"event: chunk\r\ndata: " + piece.encode() + b"\r\n\r\n" for piece in pieces)
    assert "".join(event.data for event in SseParser(10_000).feed(stream)) == whole


@pytest.mark.parametrize(
    ("before", "last"),
    [(b"x" * 100, b"x"), (b"data: " + b"x" * 90, b"x" * 5), (b"data: xxxxxxxxx\n" * 10, b"data: x\n")],
    ids=["a line", "a line of data", "an event of many lines"],
)
def test_a_line_or_an_event_beyond_the_limit_is_refused_while_it_arrives(before, last):
    parser = SseParser(100)
    assert parser.feed(before) == []
    with pytest.raises(SseError, match="100 bytes"):
        parser.feed(last)


def test_comments_without_end_take_no_memory():
    parser = SseParser(100)
    for _ in range(1000):
        assert parser.feed(b": ping\r\n\r\n") == []


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(SseError, match="UTF-8"):
        SseParser(100).feed(b"data: \xff\n")
