# SPDX-License-Identifier: GPL-3.0-or-later
"""The storm's fleet: groups of simulated BMCs, each with faults of its own (tests/sim/README.md has
the keys), and what an action on a BMC of a group may come to without nmid being at fault."""
import dataclasses
import random

import lab
from hostile_proxy import MODES, Mode

FIRST = "127.8.0.1"
ANSWER_MS = 2500  # so long nmid awaits an answer to the Chassis Control
TOO_LATE_MS = 5500  # an answer that comes when nmid has given up
DEFER_MS, DEFER_TOO_LATE_MS = 1500, 4000
MODES.update({"double": Mode(double=1.0),
              "chaos": Mode(lose_request=0.04, lose_answer=0.08, double=0.3)})

VERSIONS = ({"ipmi_cipher_suite": 17}, {"ipmi_cipher_suite": 3}, {},
            {"ipmi_protocol_version": "1.5"})

# Codes of a loss: the session did not open in time, or silence after the interrupt. A BMC of IPMI
# 1.5 that is silent in Activate Session looks like one that rejects the password.
LOSS = frozenset(("unreachable", "deadline", "password", "auth-pause", "no-answer", "bmc-busy",
                  "protocol"))


@dataclasses.dataclass(frozen=True)
class Group:
    """may: the codes that an action's end may bear, beside those of a daemon that was stopped.
    prompt: executed and answered at once, so what nmid deduces from sequence numbers and the SEL
    must be true. executes: one interrupt is executed for each that comes. proxy: a mode of
    tests/system/hostile_proxy.py."""
    name: str
    share: int
    settings: dict = dataclasses.field(default_factory=dict)
    may: frozenset = frozenset()
    delivers: bool = True
    prompt: bool = True
    executes: bool = True
    proxy: str = ""
    twice: bool = False  # the network doubles, and the BMC executes what comes twice


def loss(percent):
    return {"loss_in": percent, "loss_out": percent, "delay_ms": 10}


SEL = {"sel": "on"}
ODD = frozenset(("completion-code",))
LATE = {"control_delay_ms": TOO_LATE_MS}
DEFER = {"execute_delay_ms": DEFER_MS}
MIX = {"reorder": 30, "jitter_ms": 80, "delay_ms": 10}

GROUPS = (
    Group("clean", 8),
    Group("clean-sel", 3, SEL),
    Group("loss5", 8, loss(5), LOSS),
    Group("loss5-sel", 5, {**loss(5), **SEL}, LOSS),
    Group("loss20", 8, loss(20), LOSS),
    Group("loss20-sel", 8, {**loss(20), **SEL}, LOSS),
    Group("loss20-sel-os", 2, {**loss(20), **SEL, "sel_records": "os"}, LOSS),
    Group("loss20-sel-noise", 2, {**loss(20), **SEL, "sel_records": "noise"}, LOSS),
    Group("loss20-sel-late", 2, {**loss(20), **SEL, "sel_delay_ms": 4000}, LOSS),
    Group("request-lost", 2, {"lose_request": "control:1"}, LOSS),
    Group("answer-lost", 2, {"lose_response": "control:1"}, LOSS),
    Group("answer-lost-sel", 2, {"lose_response": "control:1", **SEL}),
    Group("answer-probes-lost", 2, {"lose_response": "control:1", "lose_probe_response": "1,3"},
          LOSS),
    Group("slow500", 4, {"control_delay_ms": 500}),
    Group("slow500-loss5", 4, {**loss(5), "control_delay_ms": 500}, LOSS),
    Group("slow1200", 4, {"control_delay_ms": 1200}),
    Group("slow1200-loss5", 4, {**loss(5), "control_delay_ms": 1200}, LOSS),
    Group("slow1200-loss20-sel", 4, {**loss(20), **SEL, "control_delay_ms": 1200}, LOSS),
    Group("slow1200-blocks", 2, {"control_delay_ms": 1200, "control_blocks": "on"}),
    Group("too-late", 3, LATE, LOSS, prompt=False),
    Group("too-late-blocks", 2, {**LATE, "control_blocks": "on"}, LOSS, prompt=False),
    Group("too-late-sel", 3, {**LATE, **SEL}, prompt=False),
    Group("reorder", 3, MIX, LOSS, prompt=False),
    Group("reorder-loss5-sel", 3, {**loss(5), **MIX, **SEL}, LOSS, prompt=False),
    Group("one-session", 3, {**loss(5), "session_limit": 1, "count_half_open": "on",
                             "idle_s": 2}, LOSS),
    Group("answers-twice", 3, {**loss(5), "duplicate_out": "on"}, LOSS),
    Group("executes-repeats", 4, {**loss(20), "duplicate_in": "execute"}, LOSS),
    Group("network-doubles", 2, {}, LOSS, proxy="double"),
    Group("network-doubles-executes", 2, {"duplicate_in": "execute"}, LOSS, proxy="double",
          twice=True),
    Group("network-chaos", 2, SEL, LOSS, proxy="chaos", prompt=False),
    Group("defers", 2, DEFER, prompt=False),
    Group("defers-too-late", 3, {"execute_delay_ms": DEFER_TOO_LATE_MS}, LOSS, prompt=False),
    Group("defers-loss20-sel", 4, {**loss(20), **DEFER, **SEL}, LOSS, prompt=False),
    Group("busy", 1, {"completion": "c0"}, frozenset(("bmc-busy", "refused")), delivers=False,
          executes=False),
    Group("refuses", 2, {"completion": "cc", **loss(5)}, LOSS | {"refused", "unsupported"},
          delivers=False, executes=False),
    Group("odd-code", 1, {"completion": "ff"}, ODD, delivers=False, executes=False),
    Group("odd-code-executes", 1, {"completion": "ff", "completion_executes": "on"}, ODD,
          delivers=False),
    Group("off", 2, {"power": "off"}, frozenset(("powered-off",)), delivers=False,
          executes=False),
    Group("silent", 1, {"blackhole": "on"}, LOSS, delivers=False, executes=False),
    Group("other-password", 1, {"password": "other"},
          frozenset(("password", "auth-pause", "unreachable", "deadline")), delivers=False,
          executes=False),
)

# Of the storm with retry_busy alone: it says "not done", and lies.
BUSY_LIES = Group("busy-executes", 4, {"completion": "c0", "completion_executes": "on"},
                  frozenset(("bmc-busy", "refused")), delivers=False)


@dataclasses.dataclass
class Member:
    """A node and its BMC."""
    name: str
    group: Group
    address: str
    route: object = None  # through the proxy, or None


def groups_of(count, number, more):
    """count groups in the proportion of their shares, each at least once, shuffled."""
    groups = GROUPS + more
    total = sum(group.share for group in groups)
    chosen = [group for group in groups for _ in range(max(1, count * group.share // total))]
    fill = random.Random(number)
    while len(chosen) < count:
        chosen.append(fill.choice(GROUPS[:6]))
    fill.shuffle(chosen)
    return chosen[:count]


def set_up(sim, group, address):
    for key, value in {"sel": "off", **group.settings}.items():
        sim.set(address, key, value)


def build(sim, proxy, count, seed, more=()):
    """The BMCs of a simulator -> (members, nmid.conf's nodes). proxy: before its start(); more:
    groups beside GROUPS."""
    chance = random.Random(f"{seed} fleet")
    members, nodes = [], []
    for number, group in enumerate(groups_of(count, seed, more)):
        member = Member(f"{group.name}-{number}", group, sim.address(number))
        set_up(sim, group, member.address)
        address, keys = member.address, dict(chance.choice(VERSIONS))
        if group.proxy:
            member.route = proxy.route(member.address, group.proxy, f"{seed} {number}")
            address, keys["ipmi_port"] = "127.0.0.1", member.route.port
        members.append(member)
        nodes.append(lab.node(member.name, sim, address, **keys))
    return members, nodes
