# SPDX-License-Identifier: GPL-3.0-or-later
"""The same weather for the tools that people use today: ipmitool, ipmipower and ipmi-chassis, as
they come, without options beyond address, user, password and cipher suite. What they said beside
what the BMCs did."""
import collections
import concurrent.futures
import re
import subprocess

import fleet
import lab
import table

FIRST = "127.40.0.1"
PARALLEL = 48
LIMIT_S = 180
# Groups whose faults are the network's or the BMC's own. Through the proxy goes nmid alone.
GROUPS = tuple(group for group in fleet.GROUPS if not group.proxy and
               group.name not in ("other-password", "silent", "off"))


def run(argv):
    """-> exit code and output; a program that does not end is ended."""
    try:
        done = subprocess.run([lab.which(argv[0]), *argv[1:]], capture_output=True, text=True,
                              errors="replace", timeout=LIMIT_S, stdin=subprocess.DEVNULL,
                              check=False)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return -1, "did not end"


def ipmitool(addresses, port):
    """One process a BMC, as Ironic runs it. -> {address: did it say success}"""
    address = addresses[0]
    code, _ = run(["ipmitool", "-I", "lanplus", "-C", "17", "-H", address, "-p", str(port), "-U",
                   "admin", "-P", "secret", "chassis", "power", "diag"])
    return {address: code == 0}


def ipmi_chassis(addresses, port):
    address = addresses[0]
    code, _ = run(["ipmi-chassis", "-D", "LAN_2_0", "-I", "17", "-h", f"{address}:{port}", "-u",
                   "admin", "-p", "secret", "--chassis-control=DIAGNOSTIC-INTERRUPT"])
    return {address: code == 0}


def ipmipower(addresses, port):
    """One process for the whole group, as it is meant. It exits 0 whatever comes of it: what it
    prints counts."""
    hosts = ",".join(f"{address}:{port}" for address in addresses)
    _, text = run(["ipmipower", "--pulse", "-D", "LAN_2_0", "-I", "17", "-u", "admin", "-p",
                   "secret", "-h", hosts])
    good = set(re.findall(r"^(127\.[0-9.]+)\S*: ok", text, re.M))
    return {address: address in good for address in addresses}


TOOLS = {"ipmitool": (ipmitool, 1), "ipmipower": (ipmipower, 0), "ipmi-chassis": (ipmi_chassis, 1)}


def one(case, name, count, seed):
    """One tool against a fresh fleet, count BMCs of each group. -> {group: Counter}"""
    tool, size = TOOLS[name]
    sim = case.bmcsim("--count", str(count * len(GROUPS) + 1), "--seed", str(seed), first=FIRST)
    clock, where, tasks = sim.address(count * len(GROUPS)), {}, []
    for index, group in enumerate(GROUPS):
        addresses = [sim.address(index * count + i) for i in range(count)]
        for address in addresses:
            fleet.set_up(sim, group, address)
            where[address] = group.name
        step = size or count
        tasks += [addresses[i:i + step] for i in range(0, count, step)]
    said = {}
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for result in pool.map(lambda addresses: tool(addresses, sim.port), tasks):
            said.update(result)
    sim.set(clock, "delay_ms", max(fleet.TOO_LATE_MS, fleet.DEFER_TOO_LATE_MS) + 10)
    if not lab.ping(clock, sim.port, 60):
        raise AssertionError("the clock BMC does not answer")
    counts, tally = sim.control("counts"), collections.defaultdict(collections.Counter)
    for address, group in where.items():
        times = min(counts[address]["nmi"], 2)
        for key in (group, "all"):
            tally[key]["success" if said[address] else "failure", times] += 1
            tally[key]["most"] = max(tally[key]["most"], counts[address]["nmi"])
    sim.process.stop()
    return tally


def cell(row):
    """How many BMCs executed it 0, 1, 2 times or more; at most; how many were told ok."""
    times = [row["success", number] + row["failure", number] for number in (0, 1, 2)]
    good = sum(row["success", number] for number in (0, 1, 2))
    return f"{times[0]} / {times[1]} / {times[2]}, at most {row['most']}, {good} ok"


def storm(case, count, seed):
    """Every tool; prints a summary and a table of the groups."""
    columns = [(word, times) for word in ("success", "failure") for times in (0, 1, 2)]
    header = ["tool", "BMCs", *(f"{word} {times}x{' or more' if times == 2 else ''}"
                                for word, times in columns), "at most"]
    results = {name: one(case, name, count, seed) for name in TOOLS}
    rows = []
    for name, tally in results.items():
        row = tally["all"]
        rows.append([name, sum(row[column] for column in columns),
                     *(row[column] or "." for column in columns), row["most"]])
    print(f"\n{count} BMCs of each group for each tool: what it said, how often it was executed")
    print(*table.lines(header, rows), sep="\n", end="\n\n")
    rows = [[group.name, *(cell(results[name][group.name]) for name in TOOLS)]
            for group in sorted(GROUPS, key=lambda group: group.name)]
    print(*table.lines(["executed 0 / 1 / 2 times or more", *TOOLS], rows), sep="\n", flush=True)
