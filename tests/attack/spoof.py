# SPDX-License-Identifier: GPL-3.0-or-later
"""Datagrams with a sender that is not theirs.
Each is a coroutine of an assault.Attack, which has the time, the addresses and the counts."""
import socket
import struct
import time


async def spoofed(attack):
    """Datagrams at the sockets with which nmid speaks to BMCs, as from those BMCs and from others:
    bytes without sense, and such as an answer begins with."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    began, number = time.monotonic(), 0
    rmcp = b"\x06\x00\xff\x07"
    heads = (b"", rmcp + b"\x06\x10", rmcp + b"\x06\x11\x00\x00", rmcp + b"\x06\x12",
             rmcp + b"\x06\xc0", rmcp + b"\x00", b"\x06\x00\xff\x06\x00\x00\x11\xbe\x40")
    while attack.going_on():
        await attack.pace(began, number, attack.udp_rate)
        source = attack.random.choice(attack.bmcs) if number % 3 else \
            f"127.{attack.random.randrange(64, 255)}.0.{attack.random.randrange(1, 255)}"
        data = attack.random.choice(heads) + attack.random.randbytes(attack.random.choice(
            (0, 1, 8, 16, 40, 100, 1000, 2000)))
        for port in attack.udp:
            raw.sendto(datagram(source, attack.bmc_port, "127.0.0.1", port, data), ("127.0.0.1", 0))
            attack.met["spoofed datagram"]["sent"] += 1
        number += 1


def datagram(source, source_port, target, port, data):
    """An IPv4 packet; the kernel fills in its checksum, and UDP has none."""
    length = 8 + len(data)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 0, 0, 64, 17, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head + struct.pack("!HHHH", source_port, port, length, 0) + data
