#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make check-attack: nmid under every attack at once (squads.py names them), in rounds, while a
well-behaved client (client.py) goes on. Every one of its interrupts is delivered, once; what nmid
takes of its host does not grow from the first round to the last; nothing is told that was to be
kept.

    attack.py [--requests 1000000] [--minutes 10] [--rate 100] [--slow 1000] [--no-tls] ...

All of it is in a network namespace of its own. What is timed is shown and not judged."""
import argparse
import collections
import dataclasses
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import lab  # noqa: E402
import netns  # noqa: E402
import squads  # noqa: E402
import target  # noqa: E402
import verdict  # noqa: E402
import watch  # noqa: E402

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass
class Options:
    """The short form, of make check."""
    rounds: int = 2
    round_s: float = 14          # at least; a round ends when its requests are through
    requests: int = 20000        # of the flood, in all rounds together
    rate: int = 100              # injections a second of the well-behaved client
    logins: int = 1500           # bad log-ins, and as many garbage tokens, in all rounds together
    guessers: int = 20           # addresses that they come from
    slow: int = 250              # slow clients at once
    readers: int = 40            # slow readers at once
    polls: int = 150             # long polls at once, of one caller
    vanish: int = 30             # clients that vanish, in each round
    flood_rate: int = 2500       # most requests a second of the flood
    udp_rate: int = 300
    hup_s: float = 4             # between two reloads
    cycle_s: int = 60            # after so long the client comes to the same node again
    hold_off_s: int = 0
    hostile_nodes: int = 1024    # of the caller who takes too much
    cost: int = 4                # of bcrypt
    request_s: int = 8
    idle_s: int = 5
    history: int = 1000
    audit: int = 5000
    growth_kb: int = 16384       # of what is in use, from the end of the warm-up (verdict.py) on
    peak_growth_kb: int = 32768  # of the most that the process has in a round, likewise
    tls: bool = True
    limits: dict = dataclasses.field(default_factory=lambda: {
        "connections": 400, "requests_per_principal": 100, "actions_per_minute": 1500})


LONG = Options(rounds=10, round_s=60, requests=1000000, logins=10000, guessers=100, slow=1000,
               readers=200, polls=300, vanish=60, hup_s=15, cycle_s=250,
               hold_off_s=150, cost=8, request_s=10, idle_s=15, history=10000, audit=50000,
               growth_kb=8192, limits={"requests_per_principal": 256})


class Siege:
    """One attack, within a lab.TestCase."""

    def __init__(self, case, options):
        self.case, self.options = case, options
        self.target = target.Target(case, options)
        self.nmid, self.pid = self.target.nmid, self.target.nmid.process.pid
        self.rows, self.reloads, self.sent = [], 0, 0
        self.met = collections.defaultdict(collections.Counter)
        self.broken = []

    # ---- The well-behaved client ----

    def begin_client(self):
        path = self.case.unique("work.json")
        path.write_text(json.dumps(self.target.work()), encoding="utf-8")
        self.result = self.case.unique("result.json")
        client = self.case.start([sys.executable, HERE / "client.py", path, self.result])
        lab.wait_for(lambda: "ready" in client.out() or client.poll() is not None, 60, "the client")
        if client.poll() is not None:
            raise AssertionError(f"the well-behaved client did not get in: {client.err()}")
        lab.wait_for(self.target.udp_ports, 30, "the first interrupt")
        return client

    def end_client(self, client):
        """-> what each caller heard"""
        client.stop(timeout=120)
        return json.loads(self.result.read_text(encoding="utf-8"))

    # ---- A round ----

    def begin_squads(self, number):
        """Each a process."""
        options, processes = self.options, []
        for squad in squads.SQUADS:
            given = {**self.target.hostile(), "round": number, "seed": f"{squad} {number}",
                     "seconds": options.round_s, "slow": options.slow, "readers": options.readers,
                     "polls": options.polls, "vanish": options.vanish,
                     "logins": options.logins // options.rounds, "guessers": options.guessers,
                     "login_rate": max(20, options.logins / options.rounds / options.round_s * 1.5),
                     "flood": options.requests // options.rounds,
                     "flood_rate": options.flood_rate, "udp_rate": options.udp_rate}
            path = self.case.unique(f"{squad}.json")
            path.write_text(json.dumps(given), encoding="utf-8")
            processes.append(self.case.start([sys.executable, HERE / "assault.py", squad, path]))
        return processes

    def reload(self):
        self.target.renew_certificate()
        self.nmid.process.send_signal(signal.SIGHUP)
        self.reloads += 1

    def round(self, number):
        began, used = time.monotonic(), watch.processor_s(self.pid)
        waited = watch.waited_s(self.pid)
        processes = self.begin_squads(number)
        due, end = began + self.options.hup_s, began + self.options.round_s + 660
        while any(process.poll() is None for process in processes) and time.monotonic() < end:
            if self.nmid.process.poll() is not None:
                raise AssertionError(f"nmid ended: {self.nmid.process.returncode}")
            if time.monotonic() > due:
                if self.nmid.log().count("nmid: reloaded: ") == self.reloads:
                    self.reload()  # else the last one still goes on: the machine is loaded
                due = time.monotonic() + self.options.hup_s
            time.sleep(0.1)
        seconds, sent = time.monotonic() - began, 0
        for process in processes:
            sent += self.collect(process)
        self.sent += sent
        peak = self.watcher.peak_of_round()
        memory, used_kb = self.quiet_memory()
        self.rows.append({"round": number + 1, "seconds": round(seconds, 1), "requests": sent,
                          "per_s": round(sent / seconds),
                          "cpu": round((watch.processor_s(self.pid) - used) / seconds, 2),
                          "no_cpu": round((watch.waited_s(self.pid) - waited) / seconds, 2),
                          "used_kb": used_kb, "peak_kb": peak,
                          "memory_kb": memory, "descriptors": lab.descriptors(self.pid),
                          "threads": watch.threads(self.pid)})
        print(json.dumps(self.rows[-1]), flush=True)

    def collect(self, process):
        process.stop(timeout=60)
        if process.returncode != 0 or not process.out():
            raise AssertionError(f"{process.args}: {process.returncode} {process.err()}")
        told = json.loads(process.out())
        for what, statuses in told["met"].items():
            self.met[what].update(statuses)
        self.broken += told["broken"]
        return told["sent"]

    def quiet_memory(self):
        """-> (private, of the heap in use), in kB, when the attackers have left and nmid has noticed,
        and after a reload, with which it gives back what was free (else it would hang on the time
        since the last one): the lowest of some seconds."""
        ports = set(self.target.ports.values())
        watch.settle(lambda: watch.connections(ports), 10, 1)
        lab.wait_for(lambda: self.nmid.log().count("nmid: reloaded: ") == self.reloads, 60,
                     "the last reload")
        self.reload()
        lab.wait_for(lambda: self.nmid.log().count("nmid: reloaded: ") == self.reloads, 60,
                     "a reload")
        return (watch.settle(lambda: lab.memory_kb(self.pid), 10, 2),
                watch.settle(lambda: self.target.metrics().heap_kb, 5, 1))

    # ---- All of it ----

    def run(self):
        """-> verdict.Evidence"""
        start = {"descriptors": lab.descriptors(self.pid) - watch.kept(self.target.keystone_port),
                 "threads": watch.threads(self.pid)}
        began = time.monotonic()
        client = self.begin_client()
        self.watcher = watcher = watch.Watch(self.pid)
        watcher.start()
        for number in range(self.options.rounds):
            self.round(number)
        heard = self.end_client(client)
        watcher.stop()
        return verdict.Evidence(self, start, heard, watcher.peak, time.monotonic() - began)


def run(case, options):
    """The attack, its table, and what was wrong."""
    siege = Siege(case, options)
    evidence = siege.run()
    found = verdict.violations(evidence)
    found += verdict.stop_under_attack(siege)
    verdict.show(evidence, found)
    return found


class Long(lab.TestCase):
    time_limit = 7200
    options = LONG

    def test_attack(self):
        self.assertEqual(run(self, self.options), [])


def parse(argv):
    """Every field of Options is an argument; --minutes is that of all rounds together."""
    parser = argparse.ArgumentParser(description="nmid under attack; see the head of this file")
    for field in dataclasses.fields(Options):
        if field.type in ("int", "float", int, float):
            parser.add_argument("--" + field.name.replace("_", "-"), default=None,
                                type=int if field.type in ("int", int) else float)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--no-tls", action="store_true")
    parser.add_argument("--short", action="store_true", help="begin with the short form's numbers")
    given = vars(parser.parse_args(argv))
    minutes, no_tls = given.pop("minutes"), given.pop("no_tls")
    options = Options() if given.pop("short") else LONG
    options = dataclasses.replace(options, **{k: v for k, v in given.items() if v is not None})
    if minutes:
        options.round_s = minutes * 60 / options.rounds
    options.tls = not no_tls
    return options


if __name__ == "__main__":
    Long.options = parse(sys.argv[1:])
    netns.enter((target.NETWORK,))
    sys.argv[1:] = []
    lab.main(needs=("htpasswd", "openssl"))
