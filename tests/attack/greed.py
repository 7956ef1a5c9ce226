# SPDX-License-Identifier: GPL-3.0-or-later
"""What is allowed, and too much of it.
Each is a coroutine of an assault.Attack, which has the time, the addresses and the counts."""
import asyncio
import json
import socket
import time

import wire
from blocks import Block


async def flood(attack):
    """`flood` requests in packets of eight, from 12 addresses: what needs no credentials, what has
    none, what is not there, and what a caller may read."""
    who = attack.who("carol")
    kinds = ([("GET", "/healthz", 200)] * 4 + [("GET", "/readyz", 200), ("GET", "/none", 401)] +
             [("GET", "/agent/v1/nodes", 401), ("HEAD", "/healthz", 200)],
             [("GET", f"/agent/v1/nodes/{attack.nodes[0]}", 200)] * 5 +
             [("GET", "/agent/v1/nodes/none", 404), ("GET", "/none", 404), ("GET", "/v2.1", 200)])
    blocks = [(b"".join(wire.request(method, path, *([who] if with_who else []))
                        for method, path, _ in block), [status for _, _, status in block])
              for with_who, block in enumerate(kinds)]
    began, left = time.monotonic(), iter(range(attack.flood // 8))
    loop = asyncio.get_running_loop()

    async def one(number=None):
        sock = await attack.places["basic"].connect(attack.source(Block.FLOOD, 12))
        try:
            while not attack.ending:
                number = next(left, None)
                if number is None:
                    return False
                await attack.pace(began, number * 8, attack.flood_rate)
                data, statuses = blocks[number % 4 == 0]
                await loop.sock_sendall(sock, data)
                await eight(attack, sock, statuses)
        finally:
            sock.close()
    attack.until = max(attack.until, time.monotonic() + 600)
    await attack.crew(12, one, patience=None)


async def eight(attack, sock, statuses):
    """Their answers, in order, none of them another's."""
    text, loop = b"", asyncio.get_running_loop()
    while True:
        part = await loop.sock_recv(sock, 65536)
        if not part:
            raise EOFError
        text += part
        found = [int(status) for status in wire.STATUS.findall(text)]
        if len(found) == len(statuses):
            break
    if found != statuses:
        attack.wrong(f"a packet of eight: {found} instead of {statuses}")
    for status in found:
        attack.met_with("flood", status)


async def long_polls(attack):
    """Many requests of one caller at once that wait for an action on a BMC that does not answer."""
    head = [attack.who("mallory")]
    state = {"id": None}

    async def begin():
        await asyncio.sleep(0.2)
        stream = await attack.places["basic"].open(attack.source(Block.FORCE))
        try:
            status, body = await stream.ask(wire.request(
                "POST", f"/agent/v1/nodes/{attack.hole}/actions", *head,
                body={"action": "inject_nmi", "force": True}))
            if status == 202:
                state["id"] = json.loads(body)["id"]
            attack.met_with("an action that hangs", status, (202, 409, 429))
        finally:
            stream.close()

    async def one():
        await asyncio.sleep(attack.random.random())
        if state["id"]:
            stream = await attack.places["basic"].open(attack.source(Block.POLLS, 20))
            status = "left"
            try:
                path = f"/agent/v1/actions/{state['id']}?wait=300"
                status, body = await stream.ask(wire.request("GET", path, *head))
                if status not in (200, 404, 429):
                    attack.wrong(f"long poll: {status} {body[:200]!r}")
            finally:
                attack.met_with("long poll", status)
                stream.close()
    crews = asyncio.gather(attack.crew(1, begin), attack.crew(attack.polls, one, patience=None))
    await until_the_end(attack, crews)


async def until_the_end(attack, crews):
    """Waits as long as there is time; who still waits then, leaves."""
    while attack.going_on() and not crews.done():
        await asyncio.sleep(0.2)
    crews.cancel()
    await asyncio.gather(crews, return_exceptions=True)


async def too_many_actions(attack):
    """One caller injects into its own machines, with force, until it is told to stop."""
    head = [attack.who("oscar")]
    names = attack.nodes
    attack.goal("actions")

    async def batch():
        stream = await attack.places["basic"].open(attack.source(Block.FORCE))
        try:
            status, body = await stream.ask(wire.request(
                "POST", "/agent/v1/actions", *head,
                body={"action": "inject_nmi", "force": True, "nodes": names}))
            attack.met_with("batch", status, (202, 413, 429, 503))
            for action in json.loads(body)["actions"] if status == 202 else ():
                attack.met_with("action of a batch", action["code"] or "accepted")
                if action["code"] == "too-many-requests":
                    attack.goal("actions", True)
            await asyncio.sleep(0.2)
        finally:
            stream.close()

    async def too_large():
        await asyncio.sleep(0.5)
        nodes = [f"{number:x}" for number in range(70000)]
        data = wire.request("POST", "/agent/v1/actions", *head,
                            body={"action": "inject_nmi", "nodes": nodes})
        status = await attack.once("basic", attack.source(Block.FORCE), data)
        attack.met_with("batch too large", status, (413, wire.CLOSED))
    await asyncio.gather(attack.crew(1, batch), attack.crew(1, too_large))


async def leavers(attack):
    """Who asks for an interrupt and leaves before the answer: FIN, RST, half a close."""
    loop = asyncio.get_running_loop()

    async def one():
        await asyncio.sleep(0.1)
        node = attack.random.choice(attack.nodes)
        sock = await attack.places["basic"].connect(attack.source(Block.LEAVERS))
        await loop.sock_sendall(sock, wire.request(
            "PUT", f"/v2.1/servers/{node}/action", attack.who("lea"),
            body={"inject_nmi": None}))
        await asyncio.sleep(attack.random.random() * 0.01)
        how = attack.random.randrange(3)
        if how == 0:
            sock.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(wire.heard(sock), 60)
        attack.met_with("left before the answer", wire.CLOSED)
        (wire.reset(sock) if how == 1 else sock.close())
    await attack.crew(3, one)
