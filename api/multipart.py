"""A multipart form with one file in it, read piece by piece: the file goes on to where it is kept, fields are few.

Blocking, as what it hands the file to is. Every bound is here: names, headers, parts and the fields together.
Never holds more of the file than the piece that has just come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from blackboard.errors import Invalid

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FILE = "file"
MAX_PARTS = 20
MAX_HEADERS = 8
MAX_HEADER = 4096  # bytes of one line
MAX_FIELDS = 1024 * 1024  # bytes of all fields together, and so of all but the file
HOW = "send it by curl -F type=… -F title=… -F file=@PATH"


class FileForm:
    """One multipart body: `write` its pieces, then `end`. `keep` takes the file's bytes."""

    def __init__(self, content_type: bytes, keep: Callable[[bytes], None]) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Invalid(f"a multipart body needs its boundary in Content-Type: {HOW}")
        self._keep = keep
        self._raw: list[tuple[str, bytearray]] = []  # the fields, in the order they came
        self._header, self._value = bytearray(), bytearray()
        self._name: str | None = None
        self._files = self._parts = 0
        self._left = MAX_FIELDS
        self._ended = False
        self.file_name = ""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part, "on_header_field": self._named, "on_header_value": self._valued,
            "on_header_end": self._headed, "on_headers_finished": self._begun, "on_part_data": self._data, "on_end": self._end,
        }  # fmt: skip
        try:
            self._parser = MultipartParser(
                boundary, callbacks, max_header_count=MAX_HEADERS, max_header_size=MAX_HEADER
            )
        except FormParserError as error:
            raise _unreadable(error) from None

    def write(self, piece: bytes) -> None:
        """The next bytes of the body; Invalid when they are no such form."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _unreadable(error) from None

    def end(self) -> dict[str, str]:
        """The fields, after the last piece; Invalid when the form is not whole or has no file."""
        if not self._ended:
            raise Invalid(f"this multipart body is cut off: {HOW}")
        if self._files != 1:
            raise Invalid(f"send exactly one file, in the part `{FILE}`: {HOW}")
        fields: dict[str, str] = {}
        for name, raw in self._raw:
            if name in fields:
                raise Invalid(f"`{name[:60]}` is given twice: give it once")
            fields[name] = _text(bytes(raw), f"part `{name[:60]}`")
        return fields

    # --- what the parser finds ------------------------------------------------------------------------------

    def _part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Invalid(f"a multipart body has at most {MAX_PARTS} parts: {HOW}")
        self._name, self._disposition = None, b""

    def _named(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _valued(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _headed(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _begun(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise Invalid(f"a part of this multipart body has no name: {HOW}")
        self._name = _text(options[b"name"], "name of a part")
        if self._name == FILE:
            self._files += 1
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        elif b"filename" in options:
            raise Invalid(f"the part `{self._name[:60]}` is a file: the part of the file is called `{FILE}`; {HOW}")
        else:
            self._raw.append((self._name, bytearray()))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            if self._files == 1:
                self._keep(data[start:end])
            return
        self._left -= end - start
        if self._left < 0:
            raise Invalid(f"the fields beside the file have more than {MAX_FIELDS} bytes: send them in the file")
        self._raw[-1][1].extend(data[start:end])

    def _end(self) -> None:
        self._ended = True


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Invalid(f"the {where} is not UTF-8 text") from None


def _unreadable(error: Exception) -> Invalid:
    return Invalid(f"this multipart body cannot be read ({str(error)[:200]}): {HOW}")
