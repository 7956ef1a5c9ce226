# SPDX-License-Identifier: GPL-3.0-or-later
"""What the attackers and the well-behaved client have in common: HTTP by hand over asyncio, from a
chosen address. Only the standard library."""
import asyncio
import base64
import json
import re
import socket
import ssl
import struct

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)
CLOSED = 0  # in the place of a status: the connection ended without an answer


def basic(user, password):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def request(method, path, *headers, body=None, host="nmid"):
    """The bytes of one request. A body goes as JSON."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    data = b""
    if body is not None:
        data = json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def tls_client(ca_file):
    """What trusts this CA."""
    context = ssl.create_default_context(cafile=ca_file)
    context.check_hostname = False
    return context


class Place:
    """Where nmid listens: a port of an address, with TLS or not; or a UNIX socket."""

    def __init__(self, address=None, port=0, ca_file=None, path=None):
        self.address, self.port, self.path = address, port, path
        self.context = tls_client(ca_file) if ca_file else None

    def socket(self, source=None, receive=0):
        """A socket that is bound and not connected; `receive` bytes of buffer."""
        sock = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        sock.setblocking(False)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if source:
            sock.bind((source, 0))
        return sock

    def target(self):
        return self.path or (self.address, self.port)

    async def connect(self, source=None, receive=0):
        """A connected socket, below TLS."""
        sock = self.socket(source, receive)
        try:
            await asyncio.get_running_loop().sock_connect(sock, self.target())
        except BaseException:
            sock.close()
            raise
        return sock

    async def open(self, source=None):
        """Streams, with TLS where there is TLS. The socket is theirs, and theirs to close."""
        sock, tls = await self.connect(source), {}
        if self.context:
            tls = {"ssl": self.context, "server_hostname": "nmid"}
        return Stream(*await asyncio.open_connection(sock=sock, **tls))


class Stream:
    """A connection with one request at a time on it."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, data):
        """-> (status, body). An answer without a length is none that nmid gives."""
        self.writer.write(data)
        await self.writer.drain()
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, length = STATUS.match(head), LENGTH.search(head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        return int(status[1]), body

    def close(self):
        self.writer.close()


def reset(sock):
    """Closes with a RST."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()


async def heard(sock, most=1 << 20):
    """All that comes until the other side closes, or `most` bytes of it."""
    loop, parts, size = asyncio.get_running_loop(), [], 0
    try:
        while size < most:
            part = await loop.sock_recv(sock, 65536)
            if not part:
                break
            parts.append(part)
            size += len(part)
    except OSError:
        pass
    return b"".join(parts)


async def one_answer(sock):
    """The status of the first answer on this socket, or CLOSED."""
    loop, text = asyncio.get_running_loop(), b""
    try:
        while b"\r\n" not in text:
            part = await loop.sock_recv(sock, 4096)
            if not part:
                break
            text += part
    except OSError:
        pass
    found = STATUS.match(text)
    return int(found[1]) if found else CLOSED


async def leave(sock, ear):
    """Closes it, once the task that hears at it has ended: the next socket has the same number."""
    ear.cancel()
    await asyncio.gather(ear, return_exceptions=True)
    sock.close()
