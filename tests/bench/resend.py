#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench-resend: what resend = "if-unseen" and retry_busy win, and what they risk.

For each behaviour of a BMC and each setting a row, from N simulated BMCs: what nmid said, and how many
BMCs executed the interrupt never, once, and twice or more. Times are in parts of answer_ms. Nothing
is asserted: the figures are for the manual. It takes about seven minutes.
    resend.py [--nodes 200] [--answer-ms 10000] [--seed 1] [--suite 17]
"""
import argparse
import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import lab  # noqa: E402

NEVER = {"resend": "never"}
UNSEEN = {"resend": "if-unseen"}
BUSY = {"retry_busy": True}
SETTINGS = {
    "never": {**NEVER, "sel_evidence": "never"},
    "never, SEL": {**NEVER, "sel_evidence": "silence"},
    "if-unseen": {**UNSEEN, "sel_evidence": "never"},
    "if-unseen, SEL": {**UNSEEN, "sel_evidence": "silence"},
}
BUSY_SETTINGS = {
    "retry_busy = false": {"retry_busy": False, "sel_evidence": "never"},
    "retry_busy": {**BUSY, "sel_evidence": "never"},
    "retry_busy, SEL": {**BUSY, "sel_evidence": "silence"},
}
PARTS = (0.5, 0.9, 1.1, 1.5, 3)


def behaviours(answer_ms):
    """{name: keys of the BMC}"""
    rows = {}
    for part in PARTS:
        rows[f"executes at once, answers after {part:g}"] = {"control_delay_ms": part * answer_ms}
    for part in PARTS:
        rows[f"the same, and works on nothing else, {part:g}"] = {
            "control_delay_ms": part * answer_ms, "control_blocks": "on"}
    for part in PARTS:
        rows[f"executes and answers after {part:g}"] = {"execute_delay_ms": part * answer_ms}
    for loss in (5, 20):
        rows[f"{loss} % of datagrams lost each way"] = {"loss_in": loss, "loss_out": loss}
    rows["5 % lost, 20 % overtaken, 0 to 200 ms late"] = {
        "loss_in": 5, "loss_out": 5, "reorder": 20, "jitter_ms": 200}
    return rows


BUSY_BEHAVIOURS = {
    "C0, and not executed": {"completion": "C0"},
    "C0, and executed at once all the same": {"completion": "C0", "completion_executes": "on"},
}


class Resend(lab.TestCase):
    time_limit = 3600
    options = None

    def inject_all(self, nmid, names):
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": names}, timeout=600)
        self.assertEqual(status, 202, batch)
        actions = {}
        for name, action in zip(names, batch["actions"]):
            while actions.get(name, {}).get("state") != "finished":
                _, _, actions[name] = self.request(nmid, "GET",
                                                   f"/agent/v1/actions/{action['id']}?wait=60")
        return actions

    def run_rows(self, rows, settings):
        nodes, answer_ms = self.options.nodes, self.options.answer_ms
        count = nodes * len(rows)
        sim = self.bmcsim("--count", count + 1, "--seed", self.options.seed, first="127.30.0.1")
        names = [f"n{i}" for i in range(count)]
        for label, ipmi in settings.items():
            sim.control("reset all")
            for row, keys in enumerate(rows.values()):
                for i in range(row * nodes, (row + 1) * nodes):
                    for key, value in keys.items():
                        sim.set(sim.address(i), key,
                                int(value) if isinstance(value, float) else value)
            nmid = self.nmid([lab.node(name, sim, sim.address(i),
                                       ipmi_cipher_suite=self.options.suite)
                              for i, name in enumerate(names)],
                             ipmi={"answer_ms": answer_ms, "timeout_ms": 2 * answer_ms, **ipmi},
                             limits={"body_bytes": 1 << 20})
            actions = self.inject_all(nmid, names)
            sim.set(sim.address(count), "delay_ms", int(max(PARTS) * answer_ms) + 10)
            self.assertIsNotNone(lab.ping(sim.address(count), sim.port, 60))
            counts = sim.control("counts")
            for row, name in enumerate(rows):
                self.print_row(name, label, [
                    (actions[names[i]], counts[sim.address(i)]["nmi"])
                    for i in range(row * nodes, (row + 1) * nodes)])
            nmid.stop()

    @staticmethod
    def print_row(name, label, results):
        said = collections.Counter(action["outcome"] for action, _ in results)
        done = collections.Counter(min(nmi, 2) for _, nmi in results)
        cells = [said[outcome] for outcome in ("delivered", "unknown", "failed")] + [
            done[nmi] for nmi in (0, 1, 2)]
        print(f"| {name} | {label} | " + " | ".join(map(str, cells)) + " |", flush=True)

    def test_resend(self):
        print(f"\nN = {self.options.nodes} BMCs a row, answer_ms = {self.options.answer_ms}, suite "
              f"{self.options.suite}, seed {self.options.seed}; times in parts of answer_ms\n")
        print("| the BMC | setting | said delivered | unknown | failed | executed never | once | "
              "twice or more |\n|---|---|---|---|---|---|---|---|", flush=True)
        self.run_rows(behaviours(self.options.answer_ms), SETTINGS)
        self.run_rows(BUSY_BEHAVIOURS, BUSY_SETTINGS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--answer-ms", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--suite", type=int, default=17)
    Resend.options = parser.parse_args()
    sys.argv[1:] = []
    lab.main()


if __name__ == "__main__":
    main()
