# SPDX-License-Identifier: GPL-3.0-or-later
"""What is too large, ambiguous or no request at all; who connects and leaves.
Each is a coroutine of an assault.Attack, which has the time, the addresses and the counts."""
import asyncio
import socket

import shapes
import wire
from blocks import Block


async def giants(attack):
    """What is too large, in one go, or without an end."""
    all_of_them = list(shapes.giants().items())
    turn = iter(range(1 << 60))

    async def one():
        number = next(turn)
        await asyncio.sleep(attack.random.random() * 0.2)
        name, data = all_of_them[number % len(all_of_them)]
        place = ("basic", "keystone")[number % 2]
        status = await attack.once(place, attack.source(Block.RUBBISH), data)
        attack.met_with(name, status, shapes.REFUSED)
    await attack.crew(8, one)


async def endless(attack):
    """Sends until the other side has had enough; 16 MB are too much."""
    loop, turn = asyncio.get_running_loop(), iter(range(1 << 60))
    kinds = list(shapes.ENDLESS.items())

    async def one():
        name, (beginning, again) = kinds[next(turn) % len(kinds)]
        attack.does(name)
        sock = await attack.places["basic"].connect(attack.source(Block.RUBBISH))
        ear, size = asyncio.ensure_future(wire.one_answer(sock)), 0
        try:
            await loop.sock_sendall(sock, beginning)
            while size < 16 << 20 and not ear.done() and attack.going_on():
                await say(sock, again, ear)
                size += len(again)
                if size % 64000 < len(again):
                    await asyncio.sleep(0.01)
            if size >= 16 << 20:
                attack.wrong(f"{name}: {size} bytes were taken")
        except OSError:
            pass
        finally:
            attack.met_with(name, ear.result() if ear.done() else wire.CLOSED, shapes.REFUSED)
            await wire.leave(sock, ear)
            await asyncio.sleep(0.2)
    await attack.crew(4, one)


async def say(sock, data, ear):
    """Sends it, or hears that the other side has ended: with a window that was closed by then, the
    kernel would notice when it asks again, up to two minutes later."""
    sending = asyncio.ensure_future(asyncio.get_running_loop().sock_sendall(sock, data))
    await asyncio.wait([sending, ear], return_when=asyncio.FIRST_COMPLETED)
    sending.cancel()
    for result in await asyncio.gather(sending, return_exceptions=True):
        if isinstance(result, OSError):
            raise result


async def smuggling(attack):
    """Shapes that two readers take for two different things; and none of them is served."""
    turn = iter(range(1 << 60))

    async def one():
        number = next(turn)
        kinds = list(shapes.smuggling(attack.random.choice(attack.seen)).items())
        name, data = kinds[number % len(kinds)]
        await asyncio.sleep(0.02)
        place = ("basic", "keystone")[number // len(kinds) % 2]
        status = await attack.once(place, attack.source(Block.RUBBISH), data)
        attack.met_with(name, status, shapes.REFUSED)
    await attack.crew(4, one)


async def rubbish(attack):
    """Random bytes, and requests with random bytes in them; many in one packet."""
    async def one():
        await asyncio.sleep(0.05)
        data = shapes.rubbish(attack.random)
        status = await attack.once("basic", attack.source(Block.RUBBISH), data)
        attack.met_with("rubbish", status)
        if status == 200 and not shapes.is_open(data):
            attack.wrong(f"rubbish was served: {data[:100]!r}")
    await attack.crew(4, one)


async def churn(attack):
    """Connects and leaves: at once, in the middle, with FIN, with RST, with half a close."""
    loop = asyncio.get_running_loop()
    ask = wire.request("GET", "/agent/v1/nodes", attack.who("lea"))

    async def one():
        await asyncio.sleep(attack.random.random() * 0.1)
        sock = await attack.places[attack.random.choice(list(attack.places))].connect(
            attack.source(Block.CHURN))
        how = attack.random.randrange(6)
        data = (b"", b"", shapes.HEAD, ask, ask, ask + shapes.HEAD)[how]
        await loop.sock_sendall(sock, data)
        if how == 4:
            sock.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(wire.heard(sock), 30)
        attack.met_with("connect and leave", wire.CLOSED)
        (sock.close if how % 2 else lambda: wire.reset(sock))()
    await attack.crew(10, one)


async def tls_rubbish(attack):
    """What is no handshake, and handshakes that are left."""
    if "tls" not in attack.places:
        return
    turn = iter(range(1 << 60))

    async def one():
        kinds = list(shapes.client_hellos(attack.random).items())
        name, data = kinds[next(turn) % len(kinds)]
        await asyncio.sleep(0.1)
        status = await attack.once("tls", attack.source(Block.TLS), data)
        attack.met_with(name, status, shapes.REFUSED)
    await attack.crew(6, one)


async def handshakes(attack):
    """Handshake after handshake, for nothing but a page that everybody may read."""
    if "tls" not in attack.places:
        return
    place = wire.Place(attack.address, attack.ports["tls"], attack.ca_file)

    async def one():
        await asyncio.sleep(0.05)
        stream = await asyncio.wait_for(place.open(attack.source(Block.TLS)), 60)
        try:
            status, _ = await asyncio.wait_for(stream.ask(wire.request("GET", "/healthz")), 60)
            attack.met_with("handshake", status, (200,))
        finally:
            stream.close()
    await attack.crew(3, one)
