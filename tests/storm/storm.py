#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make storm: nmid against a fleet of BMCs with every fault at once (fleet.py), with callers that
leave and ask again (callers.py), and with a daemon that is killed and started again all the time.
Then what every caller was told is put beside what every BMC executed (verdict.py).

    storm.py [--actions 10000] [--seed N] [--kills N] [--window N] [--tools N] [--record FILE]
             [--resend if-unseen] [--retry-busy] [--judge FILE]

The seed repeats the fleet, its losses, the callers' choices and the kinds of kills, not their
times. Exit code 1: the promise was broken; the actions are named."""
import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import lab  # noqa: E402
import callers  # noqa: E402
import fleet  # noqa: E402
import table  # noqa: E402
import tools  # noqa: E402
import verdict  # noqa: E402
from hostile_proxy import Proxy  # noqa: E402

# kind of caller: of a hundred BMCs
MIX = {"agent": 22, "agent-drops": 14, "agent-batch": 16, "agent-no-key": 8, "nova": 8,
       "nova-key": 10, "nova-ironicclient": 12, "nova-compute": 8, "nmictl": 2}
SIZES = {"agent-batch": callers.BATCH}
# "sent", "accepted": as soon as an action is in that state; "told": as soon as one that was sent is
# told to have ended; "start": while it starts again; "drain": SIGTERM, and SIGKILL while it
# drains; "term": SIGTERM in full flight, to its end.
KILLS = ("sent", "told", "moment", "start", "term", "drain", "accepted", "told")


@dataclasses.dataclass
class Options:
    actions: int = 500
    seed: int = 1
    kills: int = 7
    window: int = 64
    tools: int = 0
    record: str = ""
    ipmi: dict = dataclasses.field(default_factory=dict)


class Storm:
    """One storm, within a lab.TestCase."""

    def __init__(self, case, options):
        self.case, self.options, self.seed = case, options, options.seed
        self.said, self.ends, self.errors = [], [], []
        self.over, self.up, self.lock = False, threading.Event(), threading.Lock()
        self.done, self.progress = 0, threading.Condition()
        self.stirred = threading.Event()
        self.random = random.Random(f"{self.seed} storm")
        count = options.actions
        # one more, that is a clock: see wait_for_executions()
        self.sim = case.bmcsim("--count", str(count + 1), "--seed", str(self.seed),
                               first=fleet.FIRST)
        self.clock = self.sim.address(count)
        self.proxy = Proxy(self.sim)
        more = (fleet.BUSY_LIES,) if "retry_busy" in options.ipmi else ()
        self.members, self.nodes = fleet.build(self.sim, self.proxy, count, self.seed, more)
        self.jobs = self.plan()
        self.caller = {node: kind for kind, nodes in self.jobs for node in nodes}
        self.port = callers.free_port()

    def plan(self):
        """[(kind of caller, its nodes)]"""
        names = [member.name for member in self.members]
        jobs = []
        while names:
            kind = self.random.choices(list(MIX), [share / SIZES.get(kind, 1)
                                                   for kind, share in MIX.items()])[0]
            size = min(SIZES.get(kind, 1), len(names))
            jobs.append((kind, [names.pop() for _ in range(size)]))
        return jobs

    # ---- For the callers ----

    def next_job(self):
        with self.lock:
            return self.jobs.pop() if self.jobs and not self.errors else None

    def job_done(self, nodes):
        with self.progress:
            self.done += nodes
            self.progress.notify_all()

    def pause(self, seconds):
        threading.Event().wait(seconds)

    def work(self, number):
        try:
            callers.Caller(self, number).run()
        except Exception as error:  # noqa: BLE001: told by run()
            self.errors.append(error)
            with self.progress:
                self.progress.notify_all()

    # ---- The daemon ----

    def start_daemon(self):
        ipmi = {"timeout_ms": 8000, "answer_ms": fleet.ANSWER_MS, "retransmit_ms": 200,
                "window": self.options.window, **self.options.ipmi}
        self.nmid = self.case.nmid(self.nodes, hold_off_s=86400, ipmi=ipmi,
                                   listen=[{"address": "127.0.0.1", "port": self.port}],
                                   limits={"history": 100000, "actions_per_minute": 0})
        self.up.set()

    @contextlib.contextmanager
    def ending(self):
        """Keeps from when to when the daemon was being ended."""
        since = time.time()
        yield
        self.ends.append((since, time.time()))

    def end_daemon(self, number):
        """A signal, and how it ended."""
        self.up.clear()
        with self.ending():
            code = self.nmid.crash() if number == signal.SIGKILL else self.nmid.stop()
        if number == signal.SIGTERM and code != 0:
            raise AssertionError(f"nmid ended with {code} after SIGTERM")

    def drain(self):
        """SIGTERM, and SIGKILL before it is through."""
        self.up.clear()
        with self.ending():
            self.nmid.process.send_signal(signal.SIGTERM)
            self.pause(self.random.random() * 0.3)
            self.nmid.crash()

    def restart(self):
        self.nmid.start()
        self.up.set()

    def await_state(self, state):
        """An action in this state, or None after 3 s."""
        caller, end = callers.Caller(self, "aim"), time.monotonic() + 3
        while time.monotonic() < end:
            answer = caller.ask("GET", f"/agent/v1/actions?state={state}&limit=1", leave=2)
            if answer and answer.status == 200 and answer.data["actions"]:
                return answer.data["actions"][0]
        return None

    def aim(self, kind):
        """Waits for the moment of this kind of kill."""
        if kind not in ("sent", "accepted", "told"):
            return
        action = self.await_state("sent" if kind == "told" else kind)
        if kind == "told" and action:
            self.kill_when_told(action["id"], time.monotonic() + 4)

    def kill_when_told(self, action_id, end):
        """Kills the daemon with its words still in the ear."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        while time.monotonic() < end:
            connection.request("GET", f"/agent/v1/actions/{action_id}")
            text = connection.getresponse().read()
            if b'"outcome": null' in text or b'"outcome":null' in text:
                continue
            self.nmid.process.send_signal(signal.SIGKILL)
            action = json.loads(text)
            callers.Caller(self, "aim").hear_action(action["node_name"], "aimer", action)
            break
        connection.close()

    def kill(self, kind):
        self.pause(self.random.random() * 0.5)
        self.aim(kind)
        if kind == "drain":
            self.drain()
        elif kind == "term":
            self.end_daemon(signal.SIGTERM)
        else:
            self.end_daemon(signal.SIGKILL)
        if kind == "start":
            with self.ending():
                process = self.case.start([lab.built("nmid"), "-c", self.nmid.conf])
                self.pause(self.random.random() * 0.1)
                process.crash()
        self.restart()

    def kill_all_along(self):
        """The kills, spread over the run; returns when every job is done."""
        total, kills = len(self.members), self.options.kills
        for number in range(kills + 1):
            goal = total * (number + 0.3) / (kills + 0.5) if number < kills else total
            with self.progress:
                self.progress.wait_for(lambda: self.done >= goal or self.errors, timeout=3600)
            if self.errors:
                raise self.errors[0]
            if number < kills:
                self.kill(KILLS[number % len(KILLS)])

    # ---- The end ----

    def idle(self):
        """Are the actions over, those too whose callers have left?"""
        answer = callers.Caller(self, "idle").ask("GET", "/healthz", leave=5)
        return answer and answer.data["queued"] + answer.data["in_flight"] == 0

    def wait_for_executions(self):
        """bmcsim does what is late in the order of its time: this pong is behind all executions."""
        late = max(fleet.TOO_LATE_MS, fleet.DEFER_TOO_LATE_MS)
        self.proxy.settle()
        self.sim.set(self.clock, "delay_ms", late + 10)
        if not lab.ping(self.clock, self.sim.port, 60):
            raise AssertionError("the clock BMC does not answer")

    def history(self):
        """Every action that the journal has."""
        actions, marker, caller = [], "", callers.Caller(self, "history")
        while True:
            page = caller.until_heard("GET", f"/agent/v1/actions?limit=1000{marker}").data
            actions += page["actions"]
            if not page["next"]:
                return actions
            marker = f"&marker={page['next']}"

    def bmcs(self):
        counts, result = self.sim.control("counts"), []
        for member in self.members:
            count = counts[member.address]
            distinct = len(member.route.controls) if member.route else -1
            result.append(verdict.Bmc(member.name, member.group, count["nmi"], count["control_4"],
                                      distinct, self.caller[member.name]))
        return result

    def run(self):
        """-> verdict.Record"""
        self.proxy.start()
        self.case.addCleanup(self.proxy.stop)
        self.start_daemon()
        watcher = callers.Watcher(self)
        watcher.start()
        threads = [threading.Thread(target=self.work, args=(number,), daemon=True)
                   for number in range(self.options.window * 5 // 4)]
        for thread in threads:
            thread.start()
        try:
            self.kill_all_along()
        finally:
            self.over = True
        for thread in [*threads, watcher]:
            thread.join()
        lab.wait_for(self.idle, 60, "the last actions to end")
        if self.options.kills:
            self.end_daemon(signal.SIGKILL)
            self.restart()
        self.wait_for_executions()
        return verdict.Record(self.bmcs(), self.said, self.history(), self.ends)


def save(record, options):
    """As JSON, for whoever wants to look closer."""
    def plain(value):
        return value.name if isinstance(value, fleet.Group) else value

    Path(options.record).write_text(json.dumps({
        "options": vars(options), "bmcs": [{key: plain(value) for key, value in vars(bmc).items()} for bmc in record.bmcs],
        "said": [vars(said) for said in record.said], "journal": record.journal,
        "ends": record.ends}, indent=1), encoding="utf-8")


def load(path):
    """-> the record and the options of its run"""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    groups = {group.name: group for group in (*fleet.GROUPS, fleet.BUSY_LIES)}
    bmcs = [verdict.Bmc(**{**bmc, "group": groups[bmc["group"]]}) for bmc in data["bmcs"]]
    said = [verdict.Said(**words) for words in data["said"]]
    return (verdict.Record(bmcs, said, data["journal"], data["ends"]),
            Options(**data["options"]))


def show(record, options, seconds, found):
    for part in (table.outcomes, table.evidence, table.heard):
        print(*part(record), sep="\n", end="\n\n")
    print(f"{len(record.journal)} actions on {len(record.bmcs)} BMCs, {len(record.said)} answers, "
          f"{options.kills} ends of the daemon, {seconds:.0f} s: {len(found)} violations")
    print(*(f"VIOLATION {text}" for text in found), sep="\n", end="\n" if found else "")
    print(f"make storm N={options.actions} SEED={options.seed} STORM=\"--kills {options.kills} "
          f"--window {options.window} ...\" {options.ipmi or ''}", flush=True)


def run(case, options):
    """-> the record and its violations, both printed."""
    began = time.monotonic()
    record = Storm(case, options).run()
    found = verdict.violations(record)
    if options.ipmi:  # the risk that the operator takes with resend and retry_busy: measured
        twice = [text for text in found if verdict.MORE_THAN_ONCE in text]
        lied = [text for text in found if text.startswith(fleet.BUSY_LIES.name)]
        print(*twice, f"{len(twice)} executed more than once, with {options.ipmi}", sep="\n")
        found = [text for text in found if text not in twice + lied]
    if options.record:
        save(record, options)
    show(record, options, time.monotonic() - began, found)
    return record, found


class Long(lab.TestCase):
    time_limit = 7200
    options = None

    def test_storm(self):
        _, found = run(self, self.options)
        if self.options.tools:
            tools.storm(self, self.options.tools, self.options.seed)
        self.assertEqual(found, [])


def parse(argv):
    parser = argparse.ArgumentParser(description="nmid in a storm; see the head of this file")
    parser.add_argument("--actions", type=int, default=os.environ.get("N") or 10000,
                        help="BMCs, each asked for one NMI")
    parser.add_argument("--seed", type=int,
                        default=os.environ.get("SEED") or random.SystemRandom().randrange(2**31))
    parser.add_argument("--kills", type=int, help="ends of the daemon (one for 700 actions)")
    parser.add_argument("--window", type=int, default=160, help="actions under way at once")
    parser.add_argument("--tools", type=int, default=0, help="BMCs of each group for each tool")
    parser.add_argument("--record", default="", help="file for all that was heard and counted")
    parser.add_argument("--resend", default="never", choices=("never", "if-unseen"))
    parser.add_argument("--retry-busy", action="store_true")
    parser.add_argument("--judge", default="", help="judge such a file again, and do no more")
    given = parser.parse_args(argv)
    if given.judge:
        record, options = load(given.judge)
        found = verdict.violations(record)
        show(record, options, 0, found)
        sys.exit(bool(found))
    kills = given.actions // 700 if given.kills is None else given.kills
    ipmi = {} if given.resend == "never" else {"resend": given.resend}
    if given.retry_busy:
        ipmi["retry_busy"] = True
    return Options(given.actions, given.seed, kills, given.window, given.tools, given.record, ipmi)


if __name__ == "__main__":
    Long.options = parse(sys.argv[1:])
    sys.argv[1:] = []
    lab.main()
