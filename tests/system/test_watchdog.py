# SPDX-License-Identifier: GPL-3.0-or-later
"""What nmid tells a service manager: that it is ready, reloads and stops, how it stands, and by each
beat that its loop turns. The test is the manager: a datagram socket in NOTIFY_SOCKET."""
import contextlib
import os
import re
import signal
import socket
import threading
import time

import lab


class Manager:
    """Reads what the daemon sends, one datagram after the other."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.heard = []

    def next(self, timeout=20):
        self.socket.settimeout(timeout)
        text = self.socket.recv(4096).decode()
        self.heard.append((time.monotonic(), text))
        return text

    def expect(self, pattern, timeout=20):
        """The next datagram that matches; what comes before it is in heard."""
        end = time.monotonic() + timeout
        while True:
            try:
                text = self.next(max(0.001, end - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"no {pattern} in {self.heard}") from None
            if re.fullmatch(pattern, text):
                return text

    def times(self, text):
        return [at for at, heard in self.heard if heard == text]

    def close(self):
        self.socket.close()


class Watchdog(lab.TestCase):
    def manager(self, address=None):
        self.address = address or str(self.unique("notify"))
        manager = Manager(self.address.replace("@", "\0", 1))
        self.addCleanup(manager.close)
        return manager

    def started(self, nodes=(), environment=None, **settings):
        """nmid, with what a service manager puts into its environment."""
        before = {}
        environment = {"NOTIFY_SOCKET": self.address, **(environment or {})}
        for key, value in environment.items():
            before[key] = os.environ.get(key)
            os.environ[key] = value
        try:
            return self.nmid(list(nodes), **settings)
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value

    def test_ready_status_stopping(self):
        manager = self.manager()
        nmid = self.started()
        self.assertEqual(manager.next(), "READY=1")
        self.assertEqual(manager.next(), "STATUS=0 nodes; actions: 0 under way, 0 waiting")
        self.assertEqual(nmid.stop(), 0)
        self.assertEqual(manager.next(), "STOPPING=1")
        self.assertRegex(manager.next(), "EXTEND_TIMEOUT_USEC=[0-9]+")
        self.assertRegex(manager.next(), "STATUS=stopping; .*")
        self.assertNotIn("WATCHDOG=1", [text for _, text in manager.heard])

    def test_an_abstract_socket(self):
        manager = self.manager(f"@nmid-test-{os.getpid()}")
        self.started()
        self.assertEqual(manager.next(), "READY=1")

    def test_no_socket(self):
        """What is no socket's path is said; what nobody reads from is nothing to die of."""
        for address, warned in (("nonsense", True), ("@", True), ("/" + "x" * 200, True),
                                (str(self.unique("nobody")), False)):
            with self.subTest(address):
                self.address = address
                nmid = self.started(environment={"WATCHDOG_USEC": "20000"})
                self.assertEqual(self.request(nmid, "GET", "/healthz")[0], 200)
                self.assertEqual("NOTIFY_SOCKET is no path" in nmid.log(), warned)
                self.assertEqual(nmid.stop(), 0)

    def test_reload_good_and_bad(self):
        manager = self.manager()
        nmid = self.started()
        manager.expect("STATUS=0 nodes.*")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        nmid.reload(nodes=[{"uuid": lab.node_uuid("a"), "name": "a", "driver": "noop"}])
        told = manager.expect(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        self.assertLess(before, int(told.rsplit("=", 1)[1]))
        self.assertLess(int(told.rsplit("=", 1)[1]), time.clock_gettime_ns(time.CLOCK_MONOTONIC)
                        // 1000)
        manager.expect("READY=1")
        manager.expect("STATUS=1 node; actions: 0 under way, 0 waiting")
        # One mistake: nothing changes, the manager is not left waiting, and it is said.
        self.assertIn("was not reloaded", nmid.reload(nodes=[{"name": "no uuid"}]))
        manager.expect(r"RELOADING=1\nMONOTONIC_USEC=\d+")
        manager.expect("READY=1")
        manager.expect("STATUS=1 node; .*configuration has mistakes.*")
        nmid.reload(nodes=[])
        manager.expect("STATUS=0 nodes; actions: 0 under way, 0 waiting")

    def hang_up(self, nmid):
        """SIGHUP, and it has come: what is still pending would not be delivered twice."""
        status = lab.Path(f"/proc/{nmid.process.pid}/status")
        nmid.process.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: not int(re.search(r"ShdPnd:\s*(\w+)", status.read_text())[1], 16) & 1,
                     what="it to be delivered")

    def test_a_storm_of_signals(self):
        """Signals that come while it reloads are one reload more, and nothing stands behind them."""
        manager = self.manager()
        nmid = self.started([{"uuid": lab.node_uuid(f"n{i}"), "name": f"n{i}", "driver": "noop"}
                             for i in range(5000)])
        manager.expect("STATUS=5000 nodes.*")
        for _ in range(100):
            self.hang_up(nmid)
        nmid.reload(nodes=[{"uuid": lab.node_uuid("a"), "name": "a", "driver": "noop"}])
        lab.wait_for(lambda: "reloaded: 1 node\n" in nmid.log(), what="the last one to count")
        self.assertEqual(nmid.stop(), 0)
        self.assertIn(nmid.log().count("nmid: reloading "), range(2, 51))

    def test_beats_while_the_loop_turns(self):
        """Twice as often as is asked for; none while the process stands still, as a hung loop."""
        manager = self.manager()
        nmid = self.started(environment={"WATCHDOG_USEC": "400000"})
        manager.expect("READY=1")
        for _ in range(10):
            manager.expect("WATCHDOG=1", timeout=5)
        times = manager.times("WATCHDOG=1")
        # The first is READY's own; then one each 200 ms: never early, and on a busy machine late.
        self.assertGreater(times[-1] - times[0], 9 * 0.2 - 0.1)
        self.assertLess(min(b - a for a, b in zip(times, times[1:])), 0.39)
        nmid.process.send_signal(signal.SIGSTOP)
        self.addCleanup(nmid.process.send_signal, signal.SIGCONT)
        lab.wait_for(lambda: "\nState:\tT" in lab.Path(f"/proc/{nmid.process.pid}/status")
                     .read_text(), what="it to stand still")
        while True:
            try:
                manager.next(0.001)
            except TimeoutError:
                break
        with self.assertRaises(TimeoutError):
            manager.next(1)
        nmid.process.send_signal(signal.SIGCONT)
        manager.expect("WATCHDOG=1")

    def test_a_watchdog_for_somebody_else(self):
        manager = self.manager()
        self.started(environment={"WATCHDOG_USEC": "20000", "WATCHDOG_PID": str(os.getpid())})
        manager.expect("STATUS=.*")
        with self.assertRaises(TimeoutError):
            manager.next(0.5)

    def test_a_watchdog_that_is_no_number(self):
        for text in ("0", "-1", "soon", "20000x", "", "99999999999999999999999"):
            with self.subTest(text):
                manager = self.manager()
                self.started(environment={"WATCHDOG_USEC": text})
                manager.expect("STATUS=.*")
                with self.assertRaises(TimeoutError):
                    manager.next(0.2)

    def test_a_watchdog_too_quick_for_anybody(self):
        """The loop has time for others all the same."""
        manager = self.manager()
        threading.Thread(target=self.read_all, args=(manager,), daemon=True).start()
        nmid = self.started(environment={"WATCHDOG_USEC": "1"})
        self.assertEqual(self.request(nmid, "GET", "/healthz", timeout=10)[0], 200)
        self.assertEqual(nmid.stop(), 0)

    @staticmethod
    def read_all(manager):
        with contextlib.suppress(OSError):
            while True:
                manager.socket.recv(4096)

    def test_a_manager_that_does_not_read(self):
        """The loop waits for nobody, and READY=1 comes when the manager reads again."""
        manager = self.manager()
        filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(filler.close)
        count = 0
        try:
            while True:
                filler.sendto(b"FILL=1", self.address)
                count += 1
        except BlockingIOError:
            pass
        nmid = self.started(environment={"WATCHDOG_USEC": "100000"})
        self.assertEqual(self.request(nmid, "GET", "/healthz", timeout=5)[0], 200)
        self.assertIn("reloaded", nmid.reload())
        self.assertEqual(self.request(nmid, "GET", "/healthz", timeout=5)[0], 200)
        for _ in range(count):
            self.assertEqual(manager.next(), "FILL=1")
        manager.expect("READY=1")
        manager.expect("STATUS=0 nodes.*")
        manager.expect("WATCHDOG=1")

    def test_a_drain_asks_for_time(self):
        """An interrupt that nobody answers is awaited for longer than a manager may have patience."""
        sim = self.bmcsim()
        sim.set("all", "control_delay_ms", 60000)
        manager = self.manager()
        nmid = self.started([lab.node("n", sim)], environment={"WATCHDOG_USEC": "400000"},
                            ipmi={"timeout_ms": 3000, "answer_ms": 2000})
        manager.expect("READY=1")
        status, _, action = self.request(nmid, "POST", "/agent/v1/nodes/n/actions",
                                         {"action": "inject_nmi"})
        self.assertEqual(status, 202, action)
        manager.expect("STATUS=1 node; actions: 1 under way, 0 waiting")
        lab.wait_for(lambda: sim.count() == 1, what="the interrupt to arrive")
        nmid.process.send_signal(signal.SIGTERM)
        manager.expect("STOPPING=1")
        for _ in range(3):
            manager.expect("EXTEND_TIMEOUT_USEC=15000000", timeout=10)
        self.assertEqual(nmid.stop(), 0)


if __name__ == "__main__":
    lab.main()
