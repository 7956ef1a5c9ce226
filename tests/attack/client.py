#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The well-behaved client: so many injections a second, whether nmid keeps up or not, each on a
node of its own, each of which must be delivered. It is an operator at the UNIX socket, users with a
password (over plain HTTP, and over TLS), and a holder of a Keystone token; half of the requests
are on connections of their own, half on such as are kept. It runs until SIGTERM, and then writes
what became of all.

    client.py WORK.json RESULT.json        (target.py writes the first)
"""
import asyncio
import json
import signal
import sys
import time

import wire

PATIENCE_S = 150  # for one injection, from when it was due
CONNECTIONS = 32  # of one caller at once: below limits.connections_per_address


class Caller:
    """One of them: where it asks, as whom, and what it has heard."""

    def __init__(self, name, work):
        self.name, self.nodes = name, work["nodes"]
        self.place = wire.Place(**work["place"])
        self.source, self.header = work["source"], work["header"]
        self.contract, self.rate = work["contract"], work["rate"]
        self.given, self.idle, self.keep_s = 0, [], work["keep_s"]
        self.free = asyncio.Semaphore(CONNECTIONS)
        self.delivered, self.failures, self.times = {}, [], []

    def next_node(self):
        node = self.nodes[self.given % len(self.nodes)]
        self.given += 1
        return node

    async def connection(self, fresh):
        while self.idle and not fresh:
            stream, since = self.idle.pop()
            if time.monotonic() - since < self.keep_s and not stream.reader.at_eof():
                return stream
            stream.close()
        return await self.place.open(self.source)

    async def inject_nova(self, stream, node):
        """The answer comes with the outcome."""
        status, body = await stream.ask(wire.request(
            "PUT", f"/v2.1/servers/{node}/action", *self.header, body={"inject_nmi": None}))
        return status == 202, f"{status} {body[:200]!r}"

    async def inject_agent(self, stream, node):
        """202 when it is accepted; then the action is awaited."""
        status, body = await stream.ask(wire.request(
            "POST", f"/agent/v1/nodes/{node}/actions", *self.header,
            body={"action": "inject_nmi"}))
        if status != 202:
            return False, f"{status} {body[:200]!r}"
        status, body = await stream.ask(wire.request(
            "GET", f"/agent/v1/actions/{json.loads(body)['id']}?wait=120", *self.header))
        return b'"outcome":"delivered"' in body.replace(b'": "', b'":"'), f"{status} {body[:400]!r}"

    async def inject(self, node, fresh):
        inject = self.inject_nova if self.contract == "nova" else self.inject_agent
        async with self.free:
            stream = await self.connection(fresh)
            try:
                good, text = await inject(stream, node)
            except BaseException:
                stream.close()
                raise
            if fresh:
                stream.close()
            else:
                self.idle.append((stream, time.monotonic()))
            return good, text

    async def one(self, due, number):
        node = self.next_node()
        try:
            good, text = await asyncio.wait_for(self.inject(node, number % 2 == 0), PATIENCE_S)
        except (OSError, ValueError, EOFError, asyncio.TimeoutError) as error:
            good, text = False, repr(error)
        now = time.monotonic()
        self.times.append(now - due)
        if good:
            self.delivered[node] = self.delivered.get(node, 0) + 1
        else:
            self.failures.append({"who": self.name, "node": node, "said": text, "at": time.time(),
                                  "fresh": number % 2 == 0, "after": round(now - due, 3)})

    async def run(self, ending):
        """One after the other is begun when it is due; none waits for the one before."""
        began, tasks = time.monotonic(), set()
        number = 0
        while not ending.is_set():
            due = began + number / self.rate
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(self.one(due, number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.gather(*tasks)
        for stream, _ in self.idle:
            stream.close()
        return time.monotonic() - began

    def report(self, seconds):
        times = sorted(self.times)

        def at(share):
            return round(1000 * times[min(len(times) - 1, int(share * len(times)))], 1)
        return {"name": self.name, "asked": self.given, "seconds": round(seconds, 1),
                "delivered": self.delivered, "failures": self.failures[:40],
                "failed": len(self.failures), "ms": {
                    "50": at(0.5), "95": at(0.95), "99": at(0.99), "max": at(1)} if times else {}}


async def main(path, result):
    with open(path, encoding="utf-8") as file:
        work = json.load(file)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    callers = [Caller(name, part) for name, part in work.items()]
    for caller in callers:  # each is let in once before anything else goes on
        stream = await caller.place.open(caller.source)
        status, body = await stream.ask(wire.request("GET", "/v2.1/servers?limit=1",
                                                     *caller.header))
        if status != 200:
            raise SystemExit(f"{caller.name}: {status} {body!r}")
        stream.close()
    print("ready", flush=True)
    seconds = await asyncio.gather(*(caller.run(ending) for caller in callers))
    with open(result, "w", encoding="utf-8") as file:
        json.dump([caller.report(s) for caller, s in zip(callers, seconds)], file)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
