# SPDX-License-Identifier: GPL-3.0-or-later
"""The storm's judge is judged: a true record passes, and each one with a lie in it does not."""
import copy
import dataclasses
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import fleet  # noqa: E402
import table  # noqa: E402
import verdict  # noqa: E402
from verdict import Bmc, Record, Said  # noqa: E402

ID = "req-00000000-0000-4000-8000-00000000000{}"
GROUPS = {group.name: group for group in fleet.GROUPS}


def action(node, number, outcome, code=None, sent=True, **evidence):
    return {"id": ID.format(number), "node_name": node, "state": "finished", "outcome": outcome,
            "code": code, "message": "words", "evidence": evidence,
            "created_at": "2026-11-23T00:00:00.000000Z",
            "sent_at": "2026-11-23T00:00:01.000000Z" if sent else None,
            "finished_at": "2026-11-23T00:00:09.000000Z"}


WHEN = verdict.moment("2026-11-23T00:00:05Z")


def truth():
    """a: delivered. b: failed, then delivered. c: unknown, and executed. d: killed after *sent*."""
    return Record(
        bmcs=[Bmc("a", GROUPS["clean"], 1, 1), Bmc("b", GROUPS["loss20"], 1, 1),
              Bmc("c", GROUPS["loss20-sel"], 1, 1), Bmc("d", GROUPS["clean"], 0, 0)],
        said=[Said("a", "agent", "accepted", ID.format(1)),
              Said("a", "agent", "delivered", ID.format(1)),
              Said("b", "nova", "error", ID.format(2)),
              Said("b", "agent", "delivered", ID.format(3)),
              Said("c", "nova-key", "unknown", ID.format(4)),
              Said("c", "nova", "error", ID.format(9)),  # a refusal: no action
              Said("d", "agent", "accepted", ID.format(5))],
        journal=[action("a", 1, "delivered"), action("b", 2, "failed", "unreachable", sent=False),
                 action("b", 3, "delivered"),
                 action("c", 4, "unknown", "no-answer", sequence="answered-but-lost"),
                 action("d", 5, "unknown", "daemon-stopped")],
        ends=[(WHEN, WHEN + 1)])


class Verdict(unittest.TestCase):
    def found(self, **changes):
        """Violations of the truth with changes: node=executed or (executed, controls), or
        journal/said/ends functions that edit the list."""
        record = truth()
        for name, change in changes.items():
            if callable(change):
                change(getattr(record, name))
            else:
                executed, controls = change if isinstance(change, tuple) else (change, change)
                record.bmcs = [dataclasses.replace(bmc, executed=executed, controls=controls)
                               if bmc.node == name else bmc for bmc in record.bmcs]
        return verdict.violations(record)

    def assert_found(self, words, **changes):
        found = self.found(**changes)
        self.assertTrue(any(words in text for text in found), found)

    @staticmethod
    def edit(index, **values):
        def change(items):
            items[index] = dataclasses.replace(items[index], **values) \
                if isinstance(items[index], Said) else {**copy.deepcopy(items[index]), **values}
        return change

    def test_the_truth_passes(self):
        self.assertEqual(self.found(), [])
        self.assertEqual(self.found(d=1), [])  # killed after sending: executed or not

    def test_executed_twice(self):
        self.assert_found("a : executed more than once", a=2)
        self.assert_found("c : executed more than once", c=2)

    def test_a_second_datagram(self):
        self.assert_found("2 Chassis Controls left nmid, the journal has 1", a=(1, 2))
        # one whose sending was never recorded
        self.assert_found("1 Chassis Controls left nmid, the journal has 0", d=(0, 1),
                          journal=self.edit(4, sent_at=None))

    def test_delivered_without_an_execution(self):
        self.assert_found("delivered, but not executed", a=(0, 1))
        self.assert_found(ID.format(1), a=(0, 1))
        self.assert_found("delivered, but never sent", journal=self.edit(0, sent_at=None))

    def test_failed_with_an_execution(self):
        self.assert_found("executed, but every action failed",
                          journal=self.edit(3, outcome="failed", code="unreachable"))

    def test_delivered_twice(self):
        self.assert_found("delivered twice", journal=self.edit(1, outcome="delivered", code=None))

    def test_an_accepted_action_is_gone(self):
        self.assert_found("the journal has no such action", journal=lambda items: items.pop(4))
        self.assert_found("404", said=lambda items: items.append(
            Said("d", "agent", "vanished", ID.format(5))))

    def test_a_key_that_made_two_actions(self):
        record = truth()
        record.bmcs[1] = dataclasses.replace(record.bmcs[1], caller="nova-key")
        self.assertIn("one Idempotency-Key made 2 actions", "".join(verdict.violations(record)))

    def test_the_journal_contradicts(self):
        for outcome, code in (("unknown", "no-answer"), ("failed", "unreachable")):
            self.assert_found("was told delivered", journal=self.edit(2, outcome=outcome,
                                                                      code=code))
        self.assert_found("was told failed", said=self.edit(4, what="failed"))
        self.assert_found("was told failed", said=self.edit(3, what="error"))

    def test_what_a_refusal_tells_of_an_earlier_action(self):
        for number, good in ((4, True), (3, True), (2, False), (8, False)):
            said = Said("c" if number == 4 else "b", "nova", "maybe", ID.format(number))
            found = self.found(said=lambda items, said=said: items.append(said))
            self.assertEqual(found == [], good, found)

    def test_an_outcome_without_a_cause(self):
        self.assert_found("without a cause", journal=self.edit(0, outcome="unknown",
                                                               code="no-answer"))
        self.assert_found("the daemon was not ended meanwhile", ends=list.clear)
        self.assert_found("has not ended", journal=self.edit(4, state="sent", outcome=None))

    def test_false_evidence(self):
        for evidence in ({"sequence": "no-answer-seen"}, {"sel": "nothing-new"},
                         {"sel": "interrupt-recorded"}):
            self.assertNotEqual(self.found(journal=self.edit(3, evidence=evidence)), [], evidence)
        self.assert_found("never executed", c=(0, 1))

    def test_a_foreign_action(self):
        self.assert_found("on no BMC", journal=lambda items: items.append(
            action("z", 7, "delivered")))

    def test_the_network_that_doubles(self):
        group = GROUPS["network-doubles-executes"]
        record = Record([Bmc("x", group, 2, 2, 1)], [], [action("x", 1, "delivered")])
        self.assertEqual(verdict.violations(record), [])
        record.bmcs[0] = dataclasses.replace(record.bmcs[0], distinct=2)
        self.assertNotEqual(verdict.violations(record), [])

    def test_tables(self):
        for part in (table.outcomes, table.evidence, table.heard):
            rows = list(part(truth()))
            self.assertGreaterEqual(len(rows), 4)
            self.assertEqual(len({len(row) for row in rows}), 1, rows)
        self.assertIn("delivered: answered 00", "\n".join(table.evidence(truth())))


if __name__ == "__main__":
    unittest.main(verbosity=2)
