# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is slow, idle, too many or gone, and keeps a connection all the while.
Each is a coroutine of an assault.Attack, which has the time, the addresses and the counts."""
import asyncio
import os
import socket
import time

import shapes
import wire
from blocks import Block

SLOW_BEGINNINGS = {
    "head": b"GET /agent/v1/nodes HTTP/1.1\r\nHost: nmid\r\nX-Slow: ",
    "body": shapes.POST + b"Content-Length: 60000\r\n\r\n",
    "chunk": shapes.CHUNKED,
    "handshake": b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03",
}


async def slow_clients(attack):
    """A byte a second, in the head, the body, the size of a chunk and a handshake."""
    loop = asyncio.get_running_loop()
    kinds = [(place, kind) for place in attack.places for kind in SLOW_BEGINNINGS
             if (place == "tls") == (kind == "handshake")]
    longest = attack.request_s + 40  # and what a loaded machine adds
    turn = iter(range(1 << 60))

    async def one():
        place, kind = kinds[next(turn) % len(kinds)]
        await asyncio.sleep(attack.random.random())
        began = time.monotonic()
        sock = await attack.places[place].connect(attack.source(Block.SLOW, 40))
        try:
            ear = asyncio.ensure_future(wire.heard(sock))
            await loop.sock_sendall(sock, SLOW_BEGINNINGS[kind])
            while attack.going_on() and time.monotonic() - began < longest:
                await asyncio.wait([ear], timeout=1)
                if ear.done():
                    attack.met_with(f"slow {kind}", wire.CLOSED)
                    return
                await loop.sock_sendall(sock, b"1")
            if attack.going_on():
                attack.wrong(f"slow {kind} ({place}): not cut within {longest} s")
        finally:
            await wire.leave(sock, ear)
    await attack.crew(attack.slow, one)


async def slow_readers(attack):
    """Who asks for much, and reads nothing of it until it must have been cut."""
    loop = asyncio.get_running_loop()
    ask = wire.request("GET", "/agent/v1/actions?limit=1000", attack.who("walter"))
    longest = max(attack.idle_s, attack.request_s) + 4

    async def one():
        sock = await attack.places["basic"].connect(attack.source(Block.READERS, 20), receive=2048)
        try:
            await loop.sock_sendall(sock, ask)
            end = time.monotonic() + longest
            while attack.going_on() and time.monotonic() < end:
                await asyncio.sleep(0.5)
            if attack.going_on():
                await ended(attack, sock, longest)
        finally:
            wire.reset(sock)
    await attack.crew(attack.readers, one)


async def ended(attack, sock, longest):
    """What is on its way can be read, and then it is over."""
    try:
        await asyncio.wait_for(wire.heard(sock, 1 << 26), 45)
        attack.met_with("slow reader", wire.CLOSED)
    except asyncio.TimeoutError:
        attack.wrong(f"a slow reader was not cut within {longest} s")


async def idlers(attack):
    """Who asks once, and then keeps the connection for nothing."""
    loop = asyncio.get_running_loop()
    longest = attack.idle_s + 20
    ask = wire.request("GET", "/v2.1/servers", attack.who("carol"))

    async def one():
        sock = await attack.places["basic"].connect(attack.source(Block.IDLERS, 4))
        await loop.sock_sendall(sock, ask)
        ear = asyncio.ensure_future(wire.heard(sock))
        try:
            end = time.monotonic() + longest
            while attack.going_on() and not ear.done() and time.monotonic() < end:
                await asyncio.wait([ear], timeout=1)
            if ear.done():
                attack.met_with("idle", wire.CLOSED)
            elif attack.going_on():
                attack.wrong(f"an idle connection was not cut within {longest} s")
        finally:
            await wire.leave(sock, ear)
    await attack.crew(10, one)


async def crowd(attack):
    """More connections of one address than it may have, again and again."""
    attack.goal("crowd")

    async def one():
        socks = []
        try:
            for _ in range(100):
                socks.append(await attack.places["basic"].connect(attack.source(Block.CROWD, 1)))
            ears = [asyncio.ensure_future(wire.one_answer(sock)) for sock in socks]
            end = time.monotonic() + attack.request_s  # then the first are cut for their slowness
            while time.monotonic() < end and sum(ear.done() for ear in ears) < 36:
                await asyncio.sleep(0.1)
            away = sum(ear.done() for ear in ears)
            attack.met["crowd"]["turned away"] += away
            if away >= 36:
                attack.goal("crowd", True)
            for sock, ear in zip(socks, ears):
                await wire.leave(sock, ear)
        finally:
            for sock in socks:
                sock.close()
    await attack.crew(1, one)


async def vanishing(attack):
    """Clients whose host is switched off: their address goes, and nothing more comes from it, no
    FIN and no RST, with half a request sent, or an answer awaited, or one that is not read."""
    loop, repair, gone = asyncio.get_running_loop(), 19, []  # TCP_REPAIR
    network = f"10.79.{attack.round}.0/24"
    await run("ip", "route", "replace", "local", network, "dev", "lo")
    poll = wire.request("GET", "/agent/v1/nodes", attack.who("lea"))
    for number in range(attack.vanish):
        source = f"10.79.{attack.round}.{1 + number % 250}"
        try:
            sock = await attack.places["basic"].connect(source)
            await loop.sock_sendall(sock, (shapes.HEAD, poll, b"")[number % 3])
        except OSError:
            continue
        gone.append(sock)
        attack.met_with("vanished", wire.CLOSED)
    await run("ip", "route", "del", "local", network, "dev", "lo")
    for sock in gone:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, repair, 1)
        except OSError:
            attack.met["network"]["no TCP_REPAIR"] += 1
        sock.close()


async def run(*argv):
    process = await asyncio.create_subprocess_exec(
        *argv, env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})
    if await process.wait() != 0:
        raise SystemExit(f"{argv} failed")
