# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that are too large, ambiguous or rubbish: for each, its bytes, and the statuses that are
an answer to it. wire.CLOSED: the connection was ended without one. None of them is ever served."""
import random

from wire import CLOSED

MB = 1 << 20
HEAD = b"GET /agent/v1/nodes HTTP/1.1\r\nHost: nmid\r\n"
POST = b"POST /agent/v1/actions HTTP/1.1\r\nHost: nmid\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = frozenset((400, 401, 404, 405, 408, 411, 413, 414, 415, 417, 421, 429, 431, 501, 503, 505,
                     CLOSED))
# What must not come of these: an injection, or anything of another request's.
SMUGGLED = b"POST /agent/v1/nodes/%s/actions HTTP/1.1\r\nHost: nmid\r\n" \
           b"Content-Type: application/json\r\nContent-Length: 23\r\n\r\n" \
           b"{\"action\":\"inject_nmi\"}"


def giants():
    """Name and bytes, of what is sent in one go."""
    return {
        "1 MB token": HEAD + b"X-Auth-Token: MARK-guess" + b"t" * MB + b"\r\n\r\n",
        "12 KB token": HEAD + b"X-Auth-Token: MARK-guess" + b"t" * 12000 + b"\r\n\r\n",
        "1 MB Authorization": HEAD + b"Authorization: Basic " + b"QUFB" * (MB // 4) + b"\r\n\r\n",
        "1 MB header": HEAD + b"X-Long: " + b"h" * MB + b"\r\n\r\n",
        "20 KB of headers": HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 200)
                                            for n in range(100)) + b"\r\n",
        "1000 headers": HEAD + b"".join(b"X-%d: v\r\n" % n for n in range(1000)) + b"\r\n",
        "1 MB URL": b"GET /agent/v1/nodes/" + b"u" * MB + b" HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "10 KB URL": b"GET /agent/v1/nodes/" + b"u" * 10000 + b" HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "10 GB of body are told": POST + b"Content-Length: 10737418240\r\n\r\n" + b"b" * 65536,
        "2 MB body": POST + b"Content-Length: %d\r\n\r\n" % (2 * MB) + b"b" * (2 * MB),
        "2 MB chunked": CHUNKED + (b"10000\r\n" + b"c" * 65536 + b"\r\n") * 32 + b"0\r\n\r\n",
        "one chunk of 4 GB": CHUNKED + b"ffffffff\r\n" + b"c" * MB,
        "1 MB chunk size": CHUNKED + b"0" * MB + b"\r\n",
        "1 MB chunk extension": CHUNKED + b"1;" + b"e" * MB + b"\r\n",
        "1 MB of trailers": CHUNKED + b"0\r\n" +
                            b"".join(b"T%d: t\r\n" % n for n in range(MB // 10)) + b"\r\n",
        "Expect, 1 GB": POST + b"Expect: 100-continue\r\nContent-Length: 1073741824\r\n\r\n",
    }


# What goes on until the other side ends it: the beginning, and what is sent again and again.
ENDLESS = {
    "endless header lines": (HEAD, b"X-Again: and again\r\n" * 50),
    "endless header": (HEAD + b"X-Long: ", b"h" * 1000),
    "endless URL": (b"GET /", b"u" * 1000),
    "endless chunks": (CHUNKED, b"3e8\r\n" + b"c" * 1000 + b"\r\n"),
    "endless body": (POST + b"Content-Length: 1099511627776\r\n\r\n", b"b" * 1000),
    "endless empty lines": (b"", b"\r\n" * 500),
    "endless zeros": (b"", b"\0" * 1000),
}


def smuggling(node):
    """Two readers of these would see two different requests."""
    inner = SMUGGLED % node.encode()
    two = POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
    return {
        "two lengths": two,
        "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "length and chunked": POST + b"Content-Length: %d\r\n" % (len(inner) + 5) +
                              b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        "blank before the colon": POST + b"Content-Length : 5\r\n\r\n{}   ",
        "xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
        "gzip, chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + inner,
        "bad chunk size": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n" + inner,
        "negative length": POST + b"Content-Length: -1\r\n\r\n" + inner,
        "length of words": POST + b"Content-Length: five\r\n\r\n" + inner,
        "length +5": POST + b"Content-Length: +5\r\n\r\nhello" + inner,
        "length with blanks in it": POST + b"Content-Length: 1 2\r\n\r\nhello" + inner,
        "folded line": HEAD + b"X-A: b\r\n c\r\n\r\n",
        "bare CR": HEAD + b"X-A: b\rX-B: c\r\n\r\n",
        "NUL in the path": b"GET /agent/v1/nodes\0 HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "%00 in the path": b"GET /agent/v1/nodes/%00 HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "dot segments": b"GET /healthz/../agent/v1/nodes HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "absolute URI": b"GET http://other/agent/v1/nodes HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "CONNECT": b"CONNECT nmid:22 HTTP/1.1\r\nHost: nmid\r\n\r\n",
        "two hosts": b"GET /agent/v1/nodes HTTP/1.1\r\nHost: nmid\r\nHost: other\r\n\r\n",
        "no host": b"GET /agent/v1/nodes HTTP/1.1\r\n\r\n",
        "HTTP/1.9": b"GET /agent/v1/nodes HTTP/1.9\r\nHost: nmid\r\n\r\n",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "two tokens": HEAD + b"X-Auth-Token: MARK-guess-a\r\nX-Auth-Token: MARK-guess-b\r\n\r\n",
        "control characters": HEAD + b"X-A: \x01\x02\x1b[2J\x7f\r\n\r\n",
        "TLS to plain HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 500,
    }


def rubbish(source):
    """Random bytes, some of them nearly a request; source is a random.Random."""
    data = bytearray(random.Random(source.random()).randbytes(source.randrange(1, 4096)))
    if source.random() < 0.7:
        text = bytearray(HEAD + b"Authorization: Basic TUFSSy1ndWVzczptYXJr\r\n\r\n" * 3)
        for _ in range(source.randrange(1, 12)):
            text[source.randrange(len(text))] = source.randrange(256)
        data = text + data
    return bytes(data)


def is_open(data):
    """Has chance made it ask for what everybody may read? ("GET /?gent/v1/nodes")"""
    target = (data.split(b"\r\n", 1)[0].split(b" ") + [b""])[1]
    return target.split(b"?", 1)[0] in (b"/", b"/healthz", b"/readyz", b"/v1", b"/v1/", b"/v2.1",
                                        b"/v2.1/")


def client_hellos(source):
    """What is no handshake, or half of one."""
    hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + source.randbytes(32)
    return {
        "half a ClientHello": hello,
        "a record of nothing, again and again": b"\x16\x03\x01\x00\x00" * 5000,
        "1 MB of bytes": source.randbytes(MB),
        "alerts": b"\x15\x03\x03\x00\x02\x01\x00" * 5000,
        "HTTP to TLS": HEAD + b"\r\n",
        "a record too long": b"\x16\x03\x03\xff\xff" + b"x" * 65535,
        "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + source.randbytes(37),
    }
