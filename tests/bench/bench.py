#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench: nmid beside ipmipower --pulse and ipmitool, against the same simulated BMCs in the same run.

For each size and delay a row: wall time, CPU (user+sys) per injection, peak memory, and the ratio to
ipmipower. "nmid": the first contact with each BMC, asked for by one HTTP request for all; "nmid again":
the same nodes once more, what the BMCs speak being known; "by nmictl": an HTTP request a node. nmid's CPU
is the daemon's own, with its HTTP; the client's is a column beside it. Speed is not asserted; what the
BMCs did not execute once is said.
    bench.py [--nodes 1000,5000] [--delay 0,20] [--suite 3] [--runs 3] [--ipmitool 100]
"""
import argparse
import http.client
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import lab  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid):
    """user+sys seconds of a running process."""
    schedstat = Path(f"/proc/{pid}/schedstat")
    if len(os.listdir(f"/proc/{pid}/task")) == 1 and schedstat.exists():
        return int(schedstat.read_text().split()[0]) / 1e9
    return sum(int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
               for task in os.listdir(f"/proc/{pid}/task")) / 1e9


def peak_of(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def run_child(argv):
    """-> wall, cpu, peak MB of a program."""
    began = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL)
    with process.stderr:
        complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        print(complaint.decode(errors="replace")[-2000:], file=sys.stderr)
    return (time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Bench(lab.TestCase):
    time_limit = 3600
    options = None

    def rows(self, count, delay):
        options = self.options
        sim = self.bmcsim("--count", str(count), "--set", f"delay_ms={delay}")
        hosts = ",".join(f"{sim.address(i)}:{sim.port}" for i in range(count))
        self.count, self.delay, self.sim = count, delay, sim
        samples = {"nmid": [], "nmid again": [], "by nmictl": [], "ipmipower": []}
        for _ in range(options.runs):
            self.nmid_runs(samples)
            samples["ipmipower"].append(self.measured(lambda: run_child([
                "ipmipower", "--pulse", "-D", "LAN_2_0", "-I", str(options.suite), "-u", "admin",
                "-p", "secret", "-h", hosts])))
        peer = [statistics.median(column) for column in zip(*samples["ipmipower"])]
        for name, rows in samples.items():
            self.print_row(name, [statistics.median(column) for column in zip(*rows)], peer)

    def measured(self, run):
        """Runs it; the row's BMCs must have executed one interrupt each."""
        self.sim.control("zero all")
        result = run()
        total = self.sim.control("total")
        self.twice = total["more"]
        if (total["none"], total["more"]) != (0, 0):
            print(f"    ({total['none']} BMCs executed none, {total['more']} more than one)")
        return result

    def batch(self, daemon):
        """One HTTP request for all nodes, then healthz until every one has ended."""
        began = time.monotonic()
        status, _, body = self.request(daemon, "POST", "/agent/v1/actions", {
            "action": "inject_nmi", "nodes": [f"n{i}" for i in range(self.count)]})
        self.assertEqual(status, 202, body)
        self.ended += self.count
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port)
        while True:
            connection.request("GET", "/healthz")
            health = json.loads(connection.getresponse().read())
            if health["delivered"] + health["failed"] + health["unknown"] >= self.ended:
                break
            time.sleep(0.005)
        connection.close()
        return time.monotonic() - began, None

    def nmid_runs(self, samples):
        nodes = [lab.node(f"n{i}", self.sim, self.sim.address(i),
                          ipmi_cipher_suite=self.options.suite) for i in range(self.count)]
        daemon = self.nmid(nodes, ipmi={"window": 8192},
                           limits={"actions_per_minute": 0})
        self.ended = 0
        ways = {"nmid": self.batch, "nmid again": self.batch, "by nmictl": lambda _: run_child(
            [lab.built("nmictl"), "-u", daemon.url, "-f", "json", "inject-nmi", "--parallel", "512",
             f"n[0-{self.count - 1}]"])[:2]}
        for name, way in ways.items():
            before = cpu_of(daemon.process.pid)
            wall, client = self.measured(lambda: way(daemon))
            samples[name].append((wall, cpu_of(daemon.process.pid) - before,
                                  peak_of(daemon.process.pid), client or 0))
        self.assertEqual(daemon.stop(), 0)

    def print_row(self, name, row, peer):
        wall, cpu, peak = row[:3]
        client = f"{row[3] / self.count * 1e6:8.0f}" if len(row) > 3 and row[3] else "       -"
        print(f"{self.count:6} {self.delay:6} {name:11} {wall:8.2f} {wall / peer[0]:6.2f} "
              f"{cpu / self.count * 1e6:9.0f} {cpu / peer[1]:6.2f} {client} {peak:8.1f}", flush=True)

    def test_fleets(self):
        print(f"\n{'nodes':>6} {'ms':>6} {'who':11} {'wall s':>8} {'ratio':>6} {'us CPU/n':>9} "
              f"{'ratio':>6} {'client':>8} {'peak MB':>8}")
        for count in self.options.nodes:
            for delay in self.options.delay:
                self.rows(count, delay)

    def test_one(self):
        """One injection: latency through HTTP beside one ipmitool and one ipmipower, 20 times."""
        sim = self.sim = self.bmcsim("--count", "1")
        daemon = self.nmid([lab.node("n0", sim, ipmi_cipher_suite=self.options.suite)])
        target = ["-p", str(sim.port), "-U", "admin", "-P", "secret"]
        tools = {
            "nmid (HTTP)": lambda: self.request(daemon, "PUT", "/v2.1/servers/n0/action",
                                                {"inject_nmi": None}),
            "nmictl": lambda: run_child([lab.built("nmictl"), "-u", daemon.url, "inject-nmi", "n0"]),
            "ipmipower": lambda: run_child(["ipmipower", "--pulse", "-D", "LAN_2_0", "-I",
                                            str(self.options.suite), "-u", "admin", "-p", "secret",
                                            "-h", f"{sim.first}:{sim.port}"]),
            "ipmitool": lambda: run_child(["ipmitool", "-I", "lanplus", "-C", str(self.options.suite),
                                           "-H", sim.first, *target, "chassis", "power", "diag"]),
        }
        print("\none injection, median of 20:", end="")
        for name, tool in tools.items():
            times = []
            for _ in range(20):
                began = time.monotonic()
                self.measured(tool)
                times.append(time.monotonic() - began)
            print(f"  {name} {statistics.median(times) * 1e3:.1f} ms", end="")
        print()

    def test_ipmitool(self):
        """One process a node, 64 at a time."""
        count = self.options.ipmitool
        if count == 0:
            return
        sim = self.sim = self.bmcsim("--count", str(count), "--set", "delay_ms=20")

        def one(i):
            return run_child(["ipmitool", "-I", "lanplus", "-C", str(self.options.suite), "-H",
                              sim.address(i), "-p", str(sim.port), "-U", "admin", "-P", "secret",
                              "chassis", "power", "diag"])

        began = time.monotonic()
        with ThreadPoolExecutor(64) as pool:
            runs = self.measured(lambda: list(pool.map(one, range(count))))
        print(f"\nipmitool, {count} nodes, 20 ms, 64 at a time: {time.monotonic() - began:.2f} s, "
              f"{sum(run[1] for run in runs) / count * 1e6:.0f} us CPU a node, "
              f"{max(run[2] for run in runs):.1f} MB each")


def numbers(text):
    return [int(word) for word in text.split(",")]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=numbers, default=[1000, 5000])
    parser.add_argument("--delay", type=numbers, default=[0, 20])
    parser.add_argument("--suite", type=int, default=3)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ipmitool", type=int, default=100)
    Bench.options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    sys.argv = sys.argv[:1]
    lab.main(needs=("ipmitool", "ipmipower"))
