#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attackers: a squad is a process of its own that does a few kinds of attack at once, from many
addresses, for so many seconds, and then tells what it met as a line of JSON. They are nice(1), and
their rates are bounded: what is tested is nmid, and not who gets the processor.

    assault.py SQUAD HOSTILE.json       (target.py writes it; squads.py names the attacks)

"broken" in what they tell is what must never be: a guess that was let in, a request that had to be
refused and was served, a slow client that was never cut."""
import asyncio
import collections
import json
import os
import random
import signal
import sys
import time

import wire
import squads

NICE = 10
MORE_S = 120
HANG_S = 120  # more than any limit of nmid's, and what a loaded machine adds


class Attack:
    """What the kinds of attack share: the time, the addresses, and what was met."""

    def __init__(self, given):
        self.__dict__.update(given)
        self.until = time.monotonic() + given["seconds"]
        self.random = random.Random(given["seed"])
        self.met = collections.defaultdict(collections.Counter)
        self.broken, self.sent, self.doing = [], 0, {}
        self.places = {name: wire.Place(given["address"], port)
                       for name, port in given["ports"].items()}
        self.ending, self.goals = False, set()

    def going_on(self):
        """While there is time; and longer, within reason, while a limit that was to be reached was
        not: on a loaded machine an attack takes its time."""
        now = time.monotonic()
        return not self.ending and (now < self.until or
                                    (bool(self.goals) and now < self.until + MORE_S))

    def goal(self, name, reached=False):
        (self.goals.discard if reached else self.goals.add)(name)

    def who(self, name):
        """The header with which this caller is let in."""
        return wire.basic(name, self.words[name])

    def source(self, block, count=200):
        """One of `count` addresses of an attack's own: 10.77.BLOCK.x and the blocks behind."""
        number = self.random.randrange(count)
        return f"10.77.{block + number // 200}.{1 + number % 200}"

    def met_with(self, what, status, may=None):
        """Counts; may: the statuses that are no wonder."""
        self.met[what]["closed" if status == wire.CLOSED else str(status)] += 1
        self.sent += 1
        if may is not None and status not in may and len(self.broken) < 20:
            self.broken.append(f"{what}: {status}")

    def wrong(self, text):
        if len(self.broken) < 20:
            self.broken.append(text)

    async def pace(self, began, number, rate):
        """Waits until thing number `number` is due, at `rate` a second."""
        wait = began + number / rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)

    async def crew(self, count, one, patience=HANG_S):
        """`count` tasks that do one() again and again while there is time. What the network does
        to an attacker is no wonder: it is counted, and the attacker comes again. What takes longer
        than `patience` seconds has been left to hang, and that is one."""
        async def work():
            while self.going_on():
                task = asyncio.ensure_future(one())
                try:
                    done, _ = await asyncio.wait([task], timeout=patience)
                    if not done:
                        self.wrong(f"{self.doing.get(task) or one.__qualname__}: nmid neither "
                                   f"answers nor ends it within {patience} s")
                        return
                    if task.result() is False:
                        return
                except (OSError, EOFError) as error:
                    self.met["network"][type(error).__name__] += 1
                    await asyncio.sleep(0.05)
                finally:
                    self.doing.pop(task, None)
                    if not task.done():
                        task.cancel()
                        await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*(work() for _ in range(count)))

    def does(self, what):
        """What the task does, should it hang."""
        self.doing[asyncio.current_task()] = what

    async def once(self, place, source, data, most=1 << 20, patience=50):
        """Sends, while it can, and hears one answer: its status."""
        self.does(f"{place}: {data[:60]!r}")
        sock = await self.places[place].connect(source)
        loop = asyncio.get_running_loop()
        try:
            sending = asyncio.ensure_future(loop.sock_sendall(sock, data))
            try:
                return await asyncio.wait_for(wire.one_answer(sock), patience)
            except asyncio.TimeoutError:
                return wire.CLOSED if self.ending else -1
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
        finally:
            sock.close()


async def main(squad, path):
    os.nice(NICE)
    with open(path, encoding="utf-8") as file:
        attack = Attack(json.load(file))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, setattr, attack, "ending", True)
    began = time.monotonic()
    await asyncio.gather(*(kind(attack) for kind in squads.SQUADS[squad]))
    print(json.dumps({"squad": squad, "seconds": round(time.monotonic() - began, 1),
                      "sent": attack.sent, "met": attack.met, "broken": attack.broken}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
