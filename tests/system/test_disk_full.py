# SPDX-License-Identifier: GPL-3.0-or-later
"""A journal whose disk is full, or read-only: nothing new is done, who waits hears the truth, and
it goes on by itself when there is room again. The disk is a small tmpfs in a mount namespace of
the test's own."""
import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import lab

SIZE = "1m"
TIMES = {"timeout_ms": 20000, "answer_ms": 10000, "retransmit_ms": 200}
INSIDE = "NMID_TEST_INSIDE"  # set once this runs in its namespace


class DiskFull(lab.TestCase):
    def lab_of(self, count=1, what=("-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs"),
               **settings):
        self.sim = self.bmcsim("--count", str(count))
        self.state = self.unique("state")
        self.state.mkdir(mode=0o700)
        self.mount(*what, self.state)
        self.addCleanup(subprocess.run, ["umount", "-l", self.state], check=False)
        self.filler = self.state / "filler"
        self.daemon = self.nmid([lab.node(f"n{i}", self.sim, self.sim.address(i))
                                 for i in range(count)], state_dir=str(self.state), ipmi=TIMES,
                                **{"hold_off_s": 300, **settings})

    @staticmethod
    def mount(*args):
        subprocess.run(["mount", *map(str, args)], check=True)

    def fill(self):
        with open(self.filler, "ab", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)

    def make_room(self):
        self.filler.unlink()

    def post(self, node="n0", headers=None):
        status, _, answer = self.request(self.daemon, "POST", f"/agent/v1/nodes/{node}/actions",
                                         {"action": "inject_nmi"}, headers)
        return status, answer

    def put(self, node="n0"):
        status, _, answer = self.request(self.daemon, "PUT", f"/v2.1/servers/{node}/action",
                                         {"inject_nmi": None})
        return status, answer

    def get(self, path):
        status, _, answer = self.request(self.daemon, "GET", path, timeout=90)
        return status, answer

    def finished(self, identity):
        status, action = self.get(f"/agent/v1/actions/{identity}?wait=60")
        self.assertEqual((status, action["state"]), (200, "finished"))
        return action

    def await_ready(self, ready):
        lab.wait_for(lambda: (self.get("/readyz")[0] == 200) == ready, what=f"ready: {ready}")

    def check_refused(self, words="disk is full"):
        """Each contract in its own words; nothing is sent, and all that only reads goes on."""
        sent = self.sim.control("total")["sum"]
        status, answer = self.post()
        self.assertEqual((status, answer["error"]["code"]), (503, "journal"))
        self.assertIn(words, answer["error"]["message"])
        status, answer = self.put()
        self.assertEqual((status, list(answer)), (500, ["computeFault"]))
        self.assertIn(words, answer["computeFault"]["message"])
        status, _, answer = self.request(self.daemon, "POST", "/agent/v1/nodes/n0/probe", {})
        self.assertEqual((status, answer["error"]["code"]), (503, "journal"))
        self.assertEqual((self.get("/healthz")[0], self.get("/readyz")[0]), (200, 503))
        self.assertEqual(self.get("/agent/v1/actions")[0], 200)
        done = self.nmictl(self.daemon, "inject-nmi", "n0")
        self.assertIn(words, done.stdout + done.stderr)
        self.assertIn(done.returncode, (1, 4))
        self.assertEqual(self.sim.control("total")["sum"], sent)

    # ---- Full ----

    def test_full(self):
        self.lab_of()
        self.fill()
        key = {"Idempotency-Key": "the same"}
        status, answer = self.post(headers=key)  # the first to find out
        self.assertEqual((status, answer["error"]["code"]), (503, "journal"))
        self.assertIn("nothing was sent", answer["error"]["message"])
        lost = answer["error"]["action_id"]
        self.await_ready(False)
        self.check_refused()
        status, _, answer = self.request(self.daemon, "PUT", "/agent/v1/nodes/n0/lock")
        self.assertEqual((status, answer["error"]["code"]), (503, "journal"))
        self.assertEqual(self.sim.counters()["control_4"], 0)
        self.make_room()
        self.await_ready(True)
        self.assertIn("the journal can be written again", self.daemon.log())
        self.assertIs(self.get("/agent/v1/nodes/n0")[1]["locked"], False)
        status, action = self.post(headers=key)  # refused, it had not used up its key
        self.assertEqual(status, 202, action)
        self.assertNotEqual(action["id"], lost)
        self.assertEqual(self.finished(action["id"])["outcome"], "delivered")
        self.daemon.crash()
        self.daemon.start()
        self.assertEqual(self.finished(action["id"])["outcome"], "delivered")
        self.assertEqual([self.finished(lost)[key] for key in ("outcome", "code", "sent_at")],
                         ["failed", "journal", None])
        self.assertEqual(self.sim.count(), 1)

    def test_full_before_sent(self):
        """*accepted* has its record, *sent* cannot: the session ends without the interrupt."""
        self.lab_of()
        self.sim.set("all", "delay_ms", "250")
        status, action = self.post()
        self.assertEqual(status, 202, action)
        self.fill()
        action = self.finished(action["id"])
        self.assertEqual((action["outcome"], action["code"], action["sent_at"]),
                         ("failed", "journal", None))
        self.assertIn("nothing was sent", action["message"])
        lab.wait_for(lambda: self.sim.counters()["sessions_closed"] == 1, what="Close Session")
        self.assertEqual(self.sim.counters()["control_4"], 0)
        self.sim.set("all", "delay_ms", "0")
        self.make_room()
        self.await_ready(True)
        self.assertEqual(self.put()[0], 202)
        self.assertEqual(self.sim.count(), 1)

    def in_flight(self):
        """A PUT that waits for its answer, when the disk becomes full; -> (its future, id)."""
        self.lab_of(2)
        self.sim.set(self.sim.address(0), "control_delay_ms", "1500")
        pool = ThreadPoolExecutor(1)
        self.addCleanup(pool.shutdown)
        future = pool.submit(self.put)

        def sent():
            actions = self.get("/agent/v1/actions?state=sent")[1]["actions"]
            return actions and actions[0]["id"]
        identity = lab.wait_for(sent, what="*sent*")
        self.fill()
        return future, identity

    def test_full_in_flight(self):
        future, identity = self.in_flight()
        self.assertEqual(future.result(), (202, b""))  # the truth, on record or not
        self.assertEqual(self.finished(identity)["outcome"], "delivered")
        self.await_ready(False)
        status, answer = self.put("n1")
        self.assertEqual((status, list(answer)), (500, ["computeFault"]))
        self.assertEqual(self.put()[0], 409)  # and it holds off
        self.make_room()
        self.await_ready(True)
        self.daemon.crash()
        self.daemon.start()
        self.assertEqual(self.finished(identity)["outcome"], "delivered")
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.put("n1")[0], 202)
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in (0, 1)], [1, 1])

    def test_killed_while_full(self):
        """What was told could not be recorded: the next daemon says unknown, never failed."""
        future, identity = self.in_flight()
        self.assertEqual(future.result()[0], 202)
        self.daemon.crash()
        self.make_room()
        self.daemon.start()
        action = self.finished(identity)
        self.assertEqual((action["outcome"], action["code"]), ("unknown", "daemon-stopped"))
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.sim.count(), 1)

    def test_stopped_while_full(self):
        """SIGTERM: who waits is answered first, and the daemon does not wait for the disk."""
        future, identity = self.in_flight()
        self.assertEqual(self.daemon.stop(), 0)
        self.assertEqual(future.result(), (202, b""))
        self.assertIn("records are lost", self.daemon.log())
        self.make_room()
        self.daemon.start()
        self.assertEqual(self.finished(identity)["outcome"], "unknown")
        self.assertEqual(self.sim.count(), 1)

    def test_started_while_full(self):
        """It starts and refuses, or says why it does not start; then it has lost nothing."""
        self.lab_of()
        status, action = self.post()
        self.assertEqual((status, self.finished(action["id"])["outcome"]), (202, "delivered"))
        self.daemon.stop()
        self.fill()
        try:
            self.daemon.start()
        except AssertionError:
            self.daemon.process.allowed = {1}
            self.assertEqual(self.daemon.process.wait(30), 1)
            self.assertIn(f"{self.state}/nmid.db", self.daemon.log())
            self.assertRegex(self.daemon.log(), "full|No space left on device")
            self.make_room()
            self.daemon.start()
        else:
            self.assertEqual(self.post()[0], 409)
            self.make_room()
            self.await_ready(True)
        self.assertEqual(self.finished(action["id"])["outcome"], "delivered")
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.sim.count(), 1)

    def test_full_now_and_then(self):
        """Forty at once while the disk fills and empties: nobody hears what is not so."""
        count = 40
        self.lab_of(count)
        done = threading.Event()
        for i in range(count):
            self.sim.set(self.sim.address(i), "control_delay_ms", i * 53 % 500)

        def flap():
            while not done.wait(0.03):
                self.fill()
                done.wait(0.02)
                self.make_room()

        def inject(i):
            status, answer = self.post(f"n{i}")
            if status == 202:
                return answer["id"], self.finished(answer["id"])["outcome"]
            self.assertEqual((status, answer["error"]["code"]), (503, "journal"))
            return answer["error"].get("action_id"), "failed"
        flapper = threading.Thread(target=flap)
        flapper.start()
        try:
            with ThreadPoolExecutor(8) as pool:
                told = list(pool.map(inject, range(count)))
        finally:
            done.set()
            flapper.join()
        self.assertEqual(len({outcome for _, outcome in told}), 2, told)
        self.await_ready(True)
        self.daemon.crash()
        self.daemon.start()
        for i, (identity, outcome) in enumerate(told):
            executed = self.sim.counters(self.sim.address(i))
            wanted = 1 if outcome == "delivered" else 0
            self.assertEqual((executed["nmi"], executed["control_4"]), (wanted, wanted), told[i])
            if identity:
                self.assertEqual(self.finished(identity)["outcome"], outcome)

    # ---- Read-only ----

    def test_made_read_only(self):
        """The kernel lets nobody write any more, as it does after an error of the disk."""
        image = self.unique("image")
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        mkfs = lab.which("mkfs.ext4")
        if os.geteuid() != 0 or not mkfs:
            self.skipTest("mkfs.ext4 is missing")
        subprocess.run([mkfs, "-q", "-F", image], check=True)
        what = ("-t", "ext4", "-o", "loop", image)
        try:
            self.lab_of(2, what)
        except subprocess.CalledProcessError:
            self.skipTest("no loop device here")
        self.sim.set(self.sim.address(0), "control_delay_ms", "1500")
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self.put)
            lab.wait_for(lambda: self.sim.count() == 1, what="the NMI")
            self.mount("-o", "remount,abort", self.state)
            self.assertEqual(future.result(), (202, b""))
        self.await_ready(False)
        self.assertEqual(self.put("n1")[0], 500)
        self.assertEqual(self.sim.counters(self.sim.address(1))["datagrams_in"], 0)
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.daemon.stop(), 0)
        subprocess.run(["umount", self.state], check=True)
        self.mount(*what, self.state)
        self.daemon.start()
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.put("n1")[0], 202)
        actions = self.get("/agent/v1/actions")[1]["actions"]
        self.assertEqual([self.finished(action["id"])["outcome"] for action in actions],
                         ["delivered", "unknown"])
        self.assertEqual(self.sim.count(), 1)

    def test_started_read_only(self):
        self.lab_of()
        self.assertEqual(self.put()[0], 202)
        self.daemon.stop()
        self.mount("-o", "remount,bind,ro", self.state)
        with self.assertRaises(AssertionError):
            self.daemon.start()
        self.daemon.process.allowed = {1}
        self.assertEqual(self.daemon.process.wait(30), 1)
        self.assertRegex(self.daemon.log(), f"{self.state}.*Read-only file system")
        self.mount("-o", "remount,bind,rw", self.state)
        self.daemon.start()
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.sim.count(), 1)


def enter():
    """Goes on in a mount namespace of its own, where it may mount; or is skipped."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    probe = "d=$(mktemp -d) && mount -t tmpfs tmpfs $d && umount $d; e=$?; rmdir $d; exit $e"
    try:
        tried = subprocess.run([*unshare, "sh", "-c", probe], capture_output=True, text=True,
                               check=False)
        why = tried.stderr.strip() or f"exit code {tried.returncode}" if tried.returncode else ""
    except FileNotFoundError as error:
        why = str(error)
    if why:
        print("skipped: no mount namespace here:", why, file=sys.stderr)
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter()
    lab.main()
