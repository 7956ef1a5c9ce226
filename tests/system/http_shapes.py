# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/http-shapes.md, as test_http_guards.py and people read them; and raw HTTP over a
socket, where http.client would be too well-behaved. What cannot be understood is an error, so no row
goes untested."""
import re
import socket
from dataclasses import dataclass

import lab

PATH = lab.top_srcdir / "docs/http-shapes.md"
ANSWER = re.compile(r"(closed|\d{3}(, \d{3})*(, closed)?)")
ESCAPE = re.compile(rb"\\(r|n|t|0|x[0-9a-f]{2})")
REPEAT = re.compile(rb"<(\d+)\*([^<>]*)>")


@dataclass
class Shape:
    section: str
    what: str
    sent: bytes
    statuses: list
    closed: bool


def _unescape(text):
    one = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}
    return ESCAPE.sub(lambda m: one.get(m[1]) or bytes.fromhex(m[1][1:].decode()), text)


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _code(cell):
    if not re.fullmatch(r"`[^`]+`", cell):
        raise ValueError(f"{PATH}: no code: {cell}")
    return cell[1:-1].encode("ascii")


def _expand(text, names):
    """The bytes of a cell."""
    for name, value in names.items():
        text = text.replace(name, value)
    while REPEAT.search(text):
        text = REPEAT.sub(lambda m: m[2] * int(m[1]), text)
    if re.search(rb"<[a-z]+>", text):
        raise ValueError(f"{PATH}: unknown name in {text[:100]!r}")
    return _unescape(text)


def read():
    """All rows, in order."""
    names, shapes, section, header = {}, [], None, None
    for line in PATH.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith("|"):
            header = None
            continue
        cells = _cells(line)
        if header is None:
            header = cells
        elif set(line) <= set("|- "):
            continue
        elif header == ["name", "stands for"]:
            names[_code(cells[0])] = _code(cells[1])
        elif header == ["what", "sent", "answer", "rule"] and len(cells) == 4:
            if not ANSWER.fullmatch(cells[2]):
                raise ValueError(f"{PATH}: no answer: {line}")
            shapes.append(Shape(section, cells[0], _expand(_code(cells[1]), names),
                                [int(s) for s in re.findall(r"\d{3}", cells[2])],
                                cells[2].endswith("closed")))
        else:
            raise ValueError(f"{PATH}: what is this: {line}")
    return shapes


class Wire:
    """A connection on which bytes go as they are."""

    def __init__(self, port, address="127.0.0.1"):
        self.socket = socket.create_connection((address, port), 20)
        self.data = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # closed meanwhile: what came before that tells

    def _more(self):
        """False at the connection's end."""
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.data += piece
        return piece != b""

    def answer(self, head=False):
        """-> (status, head, body), or None at the end."""
        while b"\r\n\r\n" not in self.data:
            if not self._more():
                if self.data:
                    raise AssertionError(f"cut off: {self.data!r}")
                return None
        text, _, self.data = self.data.partition(b"\r\n\r\n")
        if not re.match(rb"HTTP/1\.[01] \d{3} [ -~]+(\r\n[!-~]+: [\t -~]*)*$", text):
            raise AssertionError(f"malformed: {text!r}")
        # libmicrohttpd 0.9.75 sends the head of its own answers to a bad Content-Length twice.
        if b"\r\nConnection: close" in text and not text.startswith(b"HTTP/1.1 2"):
            while len(self.data) < len(text) + 4 and self._more():
                pass
            if self.data.startswith(text + b"\r\n\r\n"):
                self.data = self.data[len(text) + 4:]
        status = int(text.split()[1])
        length = re.search(rb"\r\nContent-Length: (\d+)", text)
        want = 0 if head or length is None else int(length[1])
        while len(self.data) < want:
            if not self._more():
                raise AssertionError(f"cut off: {self.data!r}")
        body, self.data = self.data[:want], self.data[want:]
        return status, text, body

    def ended(self):
        """True when nothing comes any more."""
        return not self.data and not self._more()
