# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody sets the clock, back an hour or forward a day, while nmid works and between two of them.
Hold-offs and timers go by the monotonic clock, which clock_shim.c moves too: so a hold-off's end
need not be waited for."""
import contextlib
import datetime
import os
import re
import sqlite3
import unittest
from concurrent.futures import ThreadPoolExecutor

import lab

HOLD_OFF_S = 300
HOUR, DAY = 3600, 86400
SHIM = "tests/system/clock_shim.so"


class ClockBack(lab.TestCase):
    def start(self, argv, cwd=None, **env):
        if argv[0] == lab.built("nmid"):
            env.update(LD_PRELOAD=lab.built(SHIM), CLOCK_SHIM=self.clock,
                       ASAN_OPTIONS=":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                           "verify_asan_link_order=0"])))
        return super().start(argv, cwd, **env)

    def lab_of(self, count):
        self.clock = self.unique("clock")
        self.wall = self.mono = 0
        self.shift()
        self.sim = self.bmcsim("--count", str(count))
        self.daemon = self.nmid([lab.node(f"n{i}", self.sim, self.sim.address(i))
                                 for i in range(count)], hold_off_s=HOLD_OFF_S,
                                ipmi={"timeout_ms": 3000, "answer_ms": 2500, "retransmit_ms": 200})
        self.ids = []
        self.shift(wall=-400 * DAY)
        self.inject("n0")
        told = datetime.datetime.fromisoformat(self.get(self.ids[0])["created_at"])
        now = datetime.datetime.now(datetime.timezone.utc)
        if not 399 < (now - told).days < 401 and lab.sanitized():
            raise unittest.SkipTest("this sanitizer's clock_gettime() comes before the shim's")
        self.assertAlmostEqual((now - told).total_seconds(), 400 * DAY, delta=60)
        self.shift(wall=0)

    def shift(self, wall=None, mono=None):
        """Sets the clocks, from now on."""
        self.wall = self.wall if wall is None else wall
        self.mono = self.mono if mono is None else mono
        with open(self.clock, "r+b" if self.clock.exists() else "wb", buffering=0) as file:
            file.write(f"{self.wall:20d} {self.mono:20d}\n".encode())

    def put(self, node):
        """-> (status, message, id)."""
        status, headers, answer = self.request(self.daemon, "PUT", f"/v2.1/servers/{node}/action",
                                               {"inject_nmi": None})
        message = "" if status == 202 else next(iter(answer.values()))["message"]
        return status, message, headers["X-Openstack-Request-Id"]

    def get(self, identity):
        status, _, action = self.request(self.daemon, "GET",
                                         f"/agent/v1/actions/{identity}?wait=30")
        self.assertEqual((status, action["state"]), (200, "finished"), action)
        return action

    def inject(self, node):
        status, message, identity = self.put(node)
        self.assertEqual(status, 202, message)
        self.ids.append(identity)

    def recorded(self):
        with contextlib.closing(sqlite3.connect(self.daemon.state_dir / "nmid.db", timeout=10)) as base:
            return base.execute("SELECT max(serial) FROM audit").fetchone()[0] or 0

    def left(self, node, identity):
        """For how many seconds an NMI is held off yet, and by whom. The refusal is on disk then: a clock
        that jumps in the middle of a write makes the disk look as if it hung."""
        before = self.recorded()
        status, message, _ = self.put(node)
        lab.wait_for(lambda: self.recorded() > before, what="the record of the refusal")
        self.assertEqual(status, 409, message)
        self.assertIn(identity, message)
        return int(re.search(r"allowed again in (\d+) s", message).group(1))

    def next_daemon(self):
        self.daemon.crash()
        self.daemon.start()

    def check_order(self):
        """The newest first, whatever their times say; by pages as well."""
        path = "/agent/v1/actions?limit=2"
        listed, marker = [], ""
        while marker is not None:
            status, _, page = self.request(self.daemon, "GET", path + marker)
            self.assertEqual(status, 200, page)
            listed += [action["id"] for action in page["actions"]]
            marker = page["next"] and f"&marker={page['next']}"
        self.assertEqual(listed, self.ids[::-1])

    def check_hold_off(self, again):
        """n0's, by its one NMI, goes on as if nothing had happened; `again` sets the clock."""
        first = self.left("n0", self.ids[0])
        self.assertIn(first, range(HOLD_OFF_S - 60, HOLD_OFF_S + 1))
        again()
        self.assertIn(self.left("n0", self.ids[0]), range(first - 30, first + 1))
        self.next_daemon()
        self.assertIn(self.left("n0", self.ids[0]), range(first - 60, first + 1))
        self.assertEqual(self.sim.count(), 1)

    def check_end(self):
        """It ends when it should: some seconds before, nothing; then an NMI."""
        self.shift(mono=self.mono + self.left("n0", self.ids[0]) - 20)
        self.assertIn(self.left("n0", self.ids[0]), range(1, 21))
        self.next_daemon()
        self.shift(mono=self.mono + self.left("n0", self.ids[0]))
        self.inject("n0")
        self.assertEqual(self.sim.count(), 2)

    def hold_off(self, wall):
        self.lab_of(2)
        self.check_hold_off(lambda: self.shift(wall=wall))
        self.inject("n1")
        self.check_hold_off(lambda: self.shift(wall=0))
        self.shift(wall=wall)
        self.check_order()
        self.check_end()
        self.check_order()

    def test_back_an_hour(self):
        self.hold_off(-HOUR)

    def test_forward_a_day(self):
        self.hold_off(DAY)

    def test_between_two_daemons(self):
        self.lab_of(1)
        for wall in (-HOUR, DAY, 0, -400 * DAY):
            self.daemon.crash()
            self.shift(wall=wall)
            self.daemon.start()
            self.assertIn(self.left("n0", self.ids[0]), range(HOLD_OFF_S - 60, HOLD_OFF_S + 1))
        self.check_end()

    def in_flight(self, wall):
        """An answer that comes, one that does not, and a BMC that is not there: all of them end, in
        their time, while the clock moves."""
        self.lab_of(4)
        self.sim.set(self.sim.address(1), "control_delay_ms", "1000")
        self.sim.set(self.sim.address(2), "lose_response", "control:1")
        self.sim.set(self.sim.address(2), "sel", "off")
        self.sim.set(self.sim.address(3), "blackhole", "on")
        begun = lab.time.monotonic()
        with ThreadPoolExecutor(3) as pool:
            futures = [pool.submit(self.put, f"n{i}") for i in (1, 2, 3)]
            lab.wait_for(lambda: self.sim.control("total")["once"] == 3, what="the NMIs")
            self.shift(wall=wall)
            answers = [future.result() for future in futures]
        self.assertLess(lab.time.monotonic() - begun, 60)
        self.assertEqual([status for status, _, _ in answers], [202, 400, 400])
        actions = [self.get(identity) for _, _, identity in answers]
        self.assertEqual([action["outcome"] for action in actions],
                         ["delivered", "unknown", "failed"])
        self.assertLess(actions[0]["evidence"]["answered_after_ms"], 30000)
        for action in actions[:2]:  # times are those that a person's clock showed
            times = [datetime.datetime.fromisoformat(action[key]) for key in
                     ("sent_at", "finished_at")]
            self.assertAlmostEqual((times[1] - times[0]).total_seconds(), wall, delta=60)
        self.next_daemon()
        for action in actions:
            self.assertEqual(self.get(action["id"]), action)
        for i in (1, 2):
            self.left(f"n{i}", answers[i - 1][2])
        self.assertEqual([self.sim.counters(self.sim.address(i))["control_4"] for i in range(4)],
                         [1, 1, 1, 0])

    def test_back_in_flight(self):
        self.in_flight(-HOUR)

    def test_forward_in_flight(self):
        self.in_flight(DAY)


if __name__ == "__main__":
    lab.main()
