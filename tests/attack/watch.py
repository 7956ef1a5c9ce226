# SPDX-License-Identifier: GPL-3.0-or-later
"""What nmid takes of its host, and what it counts, while it is attacked."""
import collections
import os
import re
import threading
import time

import lab

LIMIT = re.compile(r'^nmid_limit_reached_total\{limit="(\w+)"\} (\d+)$', re.M)


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def processor_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_s(pid):
    """How long its main thread was ready to run and had no processor."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1]) / 1e9


def of_process(address):
    """The TCP connections that some process still has: this field of each, as a port."""
    with open("/proc/net/tcp", encoding="ascii") as lines:
        fields = [line.split() for line in list(lines)[1:]]
    return [int(field[address].split(":")[1], 16) for field in fields
            if field[3] != "0A" and field[9] != "0"]


def connections(ports):
    """How many TCP connections these ports of ours have whose process is still there."""
    return sum(port in ports for port in of_process(1))


def kept(port):
    """How many TCP connections to this port their clients have open."""
    return of_process(2).count(port)


def sockets(pid):
    """inode -> what the socket is: "tcp 01 from 10.77.0.1:80 to 10.77.1.1:4711" (01: it stands)."""
    found = {}
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/{pid}/net/{kind}", encoding="ascii") as lines:
            for field in (line.split() for line in list(lines)[1:]):
                found[field[9]] = f"{kind} {field[3]} from {field[1]} to {field[2]}"
    with open(f"/proc/{pid}/net/unix", encoding="utf-8") as lines:
        found.update((line.split()[6], "unix " + " ".join(line.split()[7:])) for line in lines)
    return found


def kinds(pid):
    """What the descriptors are, and how many of each."""
    links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    known = sockets(pid)
    return dict(collections.Counter(
        known.get(link[8:-1], "a socket that is closed") if link.startswith("socket:[")
        else link.split(":[")[0] for link in links))


class Metrics:
    """GET /metrics, read."""

    def __init__(self, text):
        self.text = text
        self.limits = {name: int(value) for name, value in LIMIT.findall(text)}
        self.heap_kb = self.value('nmid_heap_bytes{state="used"}') // 1024

    def value(self, name):
        """Of a family without labels, or of one sample with them; None: it is not there."""
        found = re.search(rf"^{re.escape(name)} (\d+)$", self.text, re.M)
        return int(found[1]) if found else None


class Watch(threading.Thread):
    """Samples twice a second; keeps the highest of each."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.peak = {"memory_kb": 0, "descriptors": 0, "threads": 0}
        self.round_kb = 0

    def run(self):
        while not self.over.wait(0.5):
            try:
                now = {"memory_kb": lab.memory_kb(self.pid), "descriptors": lab.descriptors(self.pid),
                       "threads": threads(self.pid)}
            except OSError:
                return
            self.peak = {name: max(self.peak[name], value) for name, value in now.items()}
            self.round_kb = max(self.round_kb, now["memory_kb"])

    def peak_of_round(self):
        """The most memory since this was last asked for."""
        highest, self.round_kb = self.round_kb, 0
        return highest

    def stop(self):
        self.over.set()
        self.join()


def settle(read, seconds, quiet_s=3):
    """The lowest of what read() says until it has not been lower for quiet_s; at most `seconds`."""
    end, lowest, since = time.monotonic() + seconds, None, time.monotonic()
    while time.monotonic() < min(end, since + quiet_s):
        value = read()
        if lowest is None or value < lowest:
            lowest, since = value, time.monotonic()
        time.sleep(0.1)
    return lowest
