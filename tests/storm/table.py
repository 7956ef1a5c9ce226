# SPDX-License-Identifier: GPL-3.0-or-later
"""The storm's tables, in the form that docs/RELIABILITY.md takes them over."""
import collections

import callers
import verdict

COLUMNS = tuple((told, times) for told in ("delivered", "failed", "unknown", "nothing")
                for times in (0, 1))


def lines(header, rows):
    widths = [max(len(str(row[i])) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, ["-" * width for width in widths], *rows]:
        cells = [str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        yield "| " + " | ".join(cells) + " |"


def outcomes(record):
    """A row a group: actions, what callers were told of them x how often each was executed."""
    tally, bmcs = collections.defaultdict(collections.Counter), collections.Counter()
    for case in verdict.cases(record):
        for name in (case.bmc.group.name, "all"):
            bmcs[name] += 1
            for action in case.actions:
                tally[name][case.told(action), case.executions(action)] += 1
    header = ["group", "BMCs", "actions", *(f"{told} {times}x" for told, times in COLUMNS),
              "2x or more"]
    rows = []
    for name in sorted(bmcs, key=lambda name: (name == "all", name)):
        row = tally[name]
        more = sum(count for (_, times), count in row.items() if times > 1)
        rows.append([name, bmcs[name], sum(row.values()),
                     *(row[column] or "." for column in COLUMNS), more or "."])
    return lines(header, rows)


def kind_of(action):
    """The kind of evidence that an action ended with."""
    evidence, code = action["evidence"] or {}, action["code"]
    sel = evidence.get("sel")
    if action["outcome"] == "delivered":
        if sel == "interrupt-recorded" and "completion_code" not in evidence:
            return "answer lost, the SEL has it"
        return "answered 00, late" if evidence.get("answer") == "late" else "answered 00"
    if code in ("no-answer",):
        return f"silence: {evidence.get('sequence', 'not probed')}, SEL {sel or 'unchecked'}"
    return code


def evidence(record):
    """A row a kind of evidence: the share of its outcome, and how many had been executed."""
    tally, executed = collections.Counter(), collections.Counter()
    totals = collections.Counter()
    for case in verdict.cases(record):
        for action in case.actions:
            key = action["outcome"], kind_of(action)
            tally[key] += 1
            totals[action["outcome"]] += 1
            executed[key] += case.executions(action) > 0
    rows = [[f"{outcome}: {kind}", count, f"{100 * count / totals[outcome]:.1f} %",
             f"{100 * count / sum(totals.values()):.1f} %",
             executed[outcome, kind]]
            for (outcome, kind), count in sorted(tally.items(), key=lambda i: (i[0][0], -i[1]))]
    return lines(["outcome: evidence", "actions", "of the outcome", "of all", "executed"], rows)


def heard(record):
    """A row a kind of caller: what it heard."""
    tally = collections.defaultdict(collections.Counter)
    for said in record.said:
        earlier = said.text == callers.EARLIER_TEXT
        tally[said.who]["of an earlier one" if earlier else said.what] += 1
    kinds = ("accepted", *verdict.OUTCOMES, "error", "refused", "of an earlier one", "unsent",
             "vanished")
    rows = [[who, *(tally[who][kind] or "." for kind in kinds)] for who in sorted(tally)]
    return lines(["caller", *kinds], rows)
