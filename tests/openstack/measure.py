# SPDX-License-Identifier: GPL-3.0-or-later
"""What Keystone costs: a validation, a request with a remembered token, one without (make
bench-openstack). Nothing is asserted but that the answers are right."""
import http.client
import os
import statistics
import threading
import time

from case import CloudCase, lab

COUNT, FEW, CLIENTS = 2000, 200, 8
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def cpu_us(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def median_ms(port, count, path, headers):
    """One after the other, on one connection where the server keeps it."""
    connection, times = http.client.HTTPConnection("127.0.0.1", port, timeout=60), []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - began)
        assert answer.status == 200, answer.status
    connection.close()
    return statistics.median(times) * 1e3


def rate(port, count, path, headers):
    """Requests a second of some clients at once."""
    threads = [threading.Thread(target=median_ms, args=(port, count // CLIENTS, path, headers))
               for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - began)


class Measure(CloudCase):
    time_limit = 600

    def line(self, what, port, count, path, headers, process):
        median = median_ms(port, count, path, headers)
        before = cpu_us(process)
        per_s = rate(port, count, path, headers)
        cpu = (cpu_us(process) - before) / count
        self.base = self.base or median
        print(f"| {what} | {median:.2f} | {median / self.base:.1f} | {per_s:.0f} | {cpu:.0f} |",
              flush=True)

    def test_measure(self):
        self.fleet()
        self.base, nodes, keystone = None, [self.node("n1")], self.cloud.keystone
        token, own, path = self.token("alice"), self.token("nmid"), "/agent/v1/nodes/n1"
        headers = {"X-Auth-Token": token}
        none = self.nmid(nodes)
        cached, uncached = self.serve(nodes), self.serve(nodes, auth={"cache_s": 0})
        print(f"\n| GET {path} | ms, median | of none | requests/s, {CLIENTS} clients | "
              "µs CPU of the server a request |\n|---|---|---|---|---|")
        self.line("nmid, auth none", none.port, COUNT, path, {}, none.process)
        self.line("nmid, token remembered", cached.port, COUNT, path, headers, cached.process)
        self.line("nmid, cache_s = 0", uncached.port, FEW, path, headers, uncached.process)
        self.line("Keystone itself, one validation", keystone.port.number, FEW,
                  "/v3/auth/tokens?nocatalog", {"X-Auth-Token": own, "X-Subject-Token": token},
                  keystone.process)


if __name__ == "__main__":
    lab.main()
