# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile network between nmid and bmcsim: one thread that passes datagrams on late, out of
order, twice or not at all, and that answers nmid itself with forged, damaged and replayed
datagrams. It knows everything on the wire but no password (IPMI 2.0, section 13: the formats).

It passes one datagram to a BMC at a time and asks bmcsim after each what that was: so it knows
which datagrams were Chassis Controls, though they are encrypted, and how often itself doubled one.
"""
import dataclasses
import heapq
import itertools
import random
import selectors
import socket
import struct
import threading
import time

import lab

CONTROL, STATUS, AUTH_CAP = (0x01, 0x02), (0x01, 0x01), (0x07, 0x38)
RMCP = b"\x06\x00\xff\x07"
PLUS = 6  # the authentication type that marks the RMCP+ format
POOL = 3000
LATE_S = 0.4  # longer than the tests wait for the answer to a Chassis Control


@dataclasses.dataclass(frozen=True)
class Mode:
    """Chances from 0 to 1; forge: at most so many forgeries beside each datagram."""
    lose_request: float = 0
    lose_answer: float = 0
    double: float = 0
    forge: int = 0


MODES = {"late": Mode(),
         "double": Mode(double=0.3),
         "loss": Mode(lose_request=0.12, lose_answer=0.12),
         "forge": Mode(forge=4),
         "chaos": Mode(lose_request=0.04, lose_answer=0.08, double=0.2, forge=4)}


def checksum(data):
    return -sum(data) & 255


def message(command, number, code, data=b""):
    """An answer as it lies within a packet: table 13-8, IPMI message."""
    net_fn, cmd = command
    head = bytes([0x81, net_fn << 2])
    body = bytes([0x20, number << 2, cmd, code]) + data
    return head + bytes([checksum(head)]) + body + bytes([checksum(body)])


def packet_1_5(payload, auth=0, sequence=0, session=0, code=bytes(16)):
    head = RMCP + struct.pack("<BII", auth, sequence, session)
    return head + (code if auth else b"") + bytes([len(payload)]) + payload


def session_id(datagram):
    """Of either format; 0 outside a session."""
    start = 6 if datagram[4:5] == bytes([PLUS]) else 9
    return int.from_bytes(datagram[start:start + 4], "little")


class Route:
    """nmid's way to one BMC: nmid takes `port` on 127.0.0.1 for it."""

    def __init__(self, bmc, mode, seed):
        self.bmc, self.mode, self.random = bmc, mode, random.Random(seed)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.setblocking(False)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.client = None
        self.answers = []  # of this BMC
        self.sent = self.pending = 0
        self.control_4 = 0  # as bmcsim counts; also what the proxy doubled
        self.controls = {}  # datagram: how often it was passed on

    def zeroed(self):
        """bmcsim counts from 0 again: the next action."""
        self.sent = self.control_4 = 0
        self.controls = {}


class Forger:
    """Makes datagrams that look like a BMC's answers."""

    def __init__(self):
        self.pool = []  # answers of all sessions of all BMCs
        self.kinds = (self.outside, self.outside, self.in_session, self.in_session, self.unsealed,
                      self.no_2_0, self.replay, self.repeat, self.stripped, self.transplant,
                      self.damage, self.noise)

    def learn(self, route, answer):
        route.answers.append(answer)
        if len(self.pool) < POOL:
            self.pool.append(answer)
        else:
            self.pool[route.random.randrange(POOL)] = answer

    def make(self, route):
        return route.random.choice(self.kinds)(route)

    @staticmethod
    def lie(route):
        """What a thief of interrupts wants nmid to believe: sent, refused, powered off."""
        number, code = route.random.randrange(1, 16), route.random.choice((0x00, 0xC1, 0xD5))
        if route.random.random() < 0.2:
            return message(STATUS, number, 0x00, b"\x20\x00\x00")
        return message(CONTROL, number, code)

    @staticmethod
    def recent(route, default=b""):
        """An answer within a session, of late."""
        inside = [answer for answer in route.answers[-8:] if session_id(answer)]
        return route.random.choice(inside) if inside else default

    def outside(self, route):
        return packet_1_5(self.lie(route))

    def in_session(self, route):
        """A 1.5 packet with the session's id; its code is made of nothing, or another packet's."""
        model = self.recent(route)
        auth = route.random.choice((0, 2, 4))
        code = bytes(16)
        if model[4:5] == b"\x02":
            code = model[13:29]
        return packet_1_5(self.lie(route), auth, route.random.randrange(1, 30),
                          session_id(model), code)

    def unsealed(self, route):
        """An RMCP+ packet in the session, neither encrypted nor authenticated."""
        payload = self.lie(route)
        return RMCP + struct.pack("<BBIIH", PLUS, 0, session_id(self.recent(route)),
                                  route.random.randrange(1, 30), len(payload)) + payload

    @staticmethod
    def no_2_0(route):
        number = route.random.randrange(8)
        return packet_1_5(message(AUTH_CAP, number, 0x00, b"\x0e\x15\x10\x01" + bytes(4)))

    def replay(self, route):
        return route.random.choice(self.pool)

    @staticmethod
    def repeat(route):
        return route.random.choice(route.answers)

    def stripped(self, route):
        """A true answer that says it is not protected."""
        forged = bytearray(self.recent(route, RMCP + bytes(12)))
        forged[5] &= 0x3F
        return bytes(forged)

    def transplant(self, route):
        """An answer of another session under this one's tag and session id."""
        forged = bytearray(route.random.choice(self.pool))
        model = route.random.choice(route.answers)
        if len(forged) > 24 and len(model) > 24:
            forged[16] = route.random.randrange(8)
            forged[20:24] = model[20:24]
        return bytes(forged)

    @staticmethod
    def damage(route):
        forged = bytearray(route.random.choice(route.answers))
        for _ in range(route.random.randint(1, 3)):
            forged[route.random.randrange(4, len(forged))] ^= 1 << route.random.randrange(8)
        return bytes(forged)

    @staticmethod
    def noise(route):
        return route.random.randbytes(route.random.randrange(1, 80))


class Proxy(threading.Thread):
    """Serves routes until stop()."""

    def __init__(self, sim):
        super().__init__(daemon=True)
        self.sim, self.forger = sim, Forger()
        self.routes, self.by_bmc = [], {}
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.back.setblocking(False)
        self.back.bind(("127.0.0.1", 0))
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.back, selectors.EVENT_READ)
        self.queue, self.order = [], itertools.count()
        self.turns = 0
        self.ending = False
        self.tally = dict.fromkeys(("passed", "lost", "doubled", "forged"), 0)

    def route(self, bmc, mode, seed):
        """Before start()."""
        route = Route(bmc, MODES[mode], seed)
        self.routes.append(route)
        self.by_bmc[bmc] = route
        self.selector.register(route.front, selectors.EVENT_READ, route)
        return route

    def settle(self):
        """Waits until all that nmid has sent by now is at its BMC, or lost."""
        turn = self.turns

        def settled():
            if not self.is_alive():
                raise AssertionError("the proxy died")
            return self.turns > turn + 1 and not any(route.pending for route in self.routes)

        lab.wait_for(settled, 20, "the proxy to pass on what is late")

    def stop(self):
        self.ending = True
        self.join()
        for route in self.routes:
            route.front.close()
        self.back.close()
        self.selector.close()

    def run(self):
        while not self.ending:
            wait = self.queue[0][0] - time.monotonic() if self.queue else 0.02
            for key, _ in self.selector.select(max(0, min(wait, 0.02))):
                self.read(key.fileobj, key.data)
            while self.queue and self.queue[0][0] <= time.monotonic():
                _, _, deliver, route, datagram = heapq.heappop(self.queue)
                deliver(route, datagram)
            self.turns += 1

    def read(self, source, route):
        """Everything that is there."""
        while True:
            try:
                datagram, peer = source.recvfrom(65536)
            except BlockingIOError:
                return
            if route:
                route.client = peer
                self.from_nmid(route, datagram)
            else:
                self.from_bmc(self.by_bmc[peer[0]], datagram)

    def later(self, delay, deliver, route, datagram):
        heapq.heappush(self.queue,
                       (time.monotonic() + delay, next(self.order), deliver, route, datagram))

    def copies(self, route, lose):
        """How many of a datagram are passed on."""
        if route.random.random() < lose:
            self.tally["lost"] += 1
            return 0
        doubled = route.random.random() < route.mode.double
        self.tally["passed"] += 1
        self.tally["doubled"] += doubled
        return 1 + doubled

    def from_nmid(self, route, datagram):
        for _ in range(self.copies(route, route.mode.lose_request)):
            # one of fifty comes when nmid has long given up
            late = 0.03 if route.random.random() < 0.98 else LATE_S
            route.pending += 1
            self.later(route.random.random() * late, self.to_bmc, route, datagram)
        self.forge(route)

    def from_bmc(self, route, datagram):
        self.forger.learn(route, datagram)
        for _ in range(self.copies(route, route.mode.lose_answer)):
            late = 0.05 if route.random.random() < 0.9 else LATE_S
            self.later(route.random.random() * late, self.to_nmid, route, datagram)
        self.forge(route)

    def forge(self, route):
        if route.mode.forge and route.answers:
            for _ in range(route.random.randint(0, route.mode.forge)):
                self.tally["forged"] += 1
                self.later(route.random.random() * 0.03, self.to_nmid, route,
                           self.forger.make(route))

    @staticmethod
    def to_nmid(route, datagram):
        route.front.sendto(datagram, route.client)

    def to_bmc(self, route, datagram):
        self.back.sendto(datagram, (route.bmc, self.sim.port))
        route.sent += 1
        end = time.monotonic() + 10
        while (counters := self.sim.counters(route.bmc))["datagrams_in"] < route.sent:
            if time.monotonic() > end:
                raise AssertionError(f"a datagram did not reach {route.bmc}")
        if counters["control_4"] > route.control_4:
            route.control_4 = counters["control_4"]
            route.controls[datagram] = route.controls.get(datagram, 0) + 1
        route.pending -= 1
