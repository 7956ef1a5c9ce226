# SPDX-License-Identifier: GPL-3.0-or-later
"""Guessing: passwords, and tokens.
Each is a coroutine of an assault.Attack, which has the time, the addresses and the counts."""
import time

import wire
from blocks import Block

NO_ENTRY = frozenset((401, 403, 429, 431, 503, wire.CLOSED))

GUESSING_S = 300  # more at most, until all guesses are made: they are answered late


async def bad_passwords(attack):
    """`logins` guesses, for alice (who is the well-behaved client), bob and people who are not
    there, from `guessers` addresses; every tenth is one that was made before."""
    began, left = time.monotonic(), iter(range(attack.logins))

    async def one():
        number = next(left, None)
        if number is None:
            return False
        await attack.pace(began, number, attack.login_rate)
        guess = number if number % 10 else 0
        user = ("alice", "bob", f"user{number}")[number % 3]
        data = wire.request("GET", "/agent/v1/nodes",
                            wire.basic(user, f"{attack.guess}-{guess}"))
        status = await attack.once("basic", attack.source(Block.BASIC, attack.guessers), data)
        attack.met_with("bad log-in", status, NO_ENTRY)
        return True
    attack.until = time.monotonic() + attack.seconds + GUESSING_S
    await attack.crew(120, one)


async def bad_tokens(attack):
    """`logins` garbage tokens, from as many addresses; every tenth is one that was tried before."""
    began, left = time.monotonic(), iter(range(attack.logins))

    async def one():
        number = next(left, None)
        if number is None:
            return False
        await attack.pace(began, number, attack.login_rate)
        guess = f"{attack.guess}-{number if number % 10 else 0}" + "t" * (number % 7 * 100)
        data = wire.request("GET", "/agent/v1/nodes", f"X-Auth-Token: {guess}")
        status = await attack.once("keystone", attack.source(Block.TOKENS, attack.guessers), data)
        attack.met_with("garbage token", status, NO_ENTRY)
        return True
    await attack.crew(120, one)
