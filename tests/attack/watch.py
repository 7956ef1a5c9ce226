# SPDX-License-Identifier: GPL-3.0-or-later
"""What nmid takes of its host, and what it counts, while it is attacked."""
import os
import re
import threading
import time

LIMIT = re.compile(r'^nmid_limit_reached_total\{limit="(\w+)"\} (\d+)$', re.M)


def memory_kb(pid):
    """What the process has for itself alone: private pages, in kB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


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


def connections(ports):
    """How many TCP connections these ports of ours have whose process is still there."""
    count = 0
    with open("/proc/net/tcp", encoding="ascii") as lines:
        for line in list(lines)[1:]:
            field = line.split()
            count += int(field[1].split(":")[1], 16) in ports and field[3] != "0A" and \
                field[9] != "0"
    return count


class Metrics:
    """GET /metrics, read."""

    def __init__(self, text):
        self.text = text
        self.limits = {name: int(value) for name, value in LIMIT.findall(text)}

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

    def run(self):
        while not self.over.wait(0.5):
            try:
                now = {"memory_kb": memory_kb(self.pid), "descriptors": descriptors(self.pid),
                       "threads": threads(self.pid)}
            except OSError:
                return
            self.peak = {name: max(self.peak[name], value) for name, value in now.items()}

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
