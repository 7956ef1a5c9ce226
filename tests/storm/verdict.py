# SPDX-License-Identifier: GPL-3.0-or-later
"""What the storm found: every BMC's count, every word that a caller heard, and the journal's last
record, put side by side. violations() is the promise of docs/RELIABILITY.md as a program; it asks
nobody and can therefore be tested itself (test_verdict.py)."""
import collections
import dataclasses
import datetime

OUTCOMES = ("delivered", "failed", "unknown")
# A daemon that was ended says so itself, and only then.
ENDED = {"daemon-stopped": ("unknown", "sent_at"), "stopping": ("failed", "created_at")}
ONE_KEY = ("agent-drops", "agent-batch", "nova-key")
MORE_THAN_ONCE = "executed more than once"
REFUSALS = ("hold-off", "in-flight")


@dataclasses.dataclass(frozen=True)
class Said:
    """What one caller heard of one node: accepted, an outcome, refused (nothing was done for this
    request), maybe (of an earlier action: it may have been delivered), error (a Nova error: an
    outcome if its id is an action's, else refused), vanished (404 for an action that was accepted),
    unsent (nmictl: surely nothing was sent)."""
    node: str
    who: str
    what: str
    id: str = ""
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Bmc:
    """controls: Chassis Controls that the BMC received, and that it did not; distinct: different
    ones among them, where the network doubles; caller: the kind that asked for it."""
    node: str
    group: object
    executed: int
    controls: int
    distinct: int = -1
    caller: str = ""


@dataclasses.dataclass
class Record:
    """ends: the times, in seconds (from, to), in which the daemon was being ended."""
    bmcs: list
    said: list
    journal: list
    ends: list = dataclasses.field(default_factory=list)


def moment(text):
    """RFC 3339 -> seconds."""
    return datetime.datetime.fromisoformat(text).timestamp() if text else None


class Case:
    """One BMC with all that was said and recorded of it."""

    def __init__(self, bmc, said, actions, ends):
        self.bmc, self.said, self.actions, self.ends = bmc, said, actions, ends
        self.by_id = {action["id"]: action for action in actions}
        self.found = []

    def complain(self, text, action_id=""):
        self.found.append(f"{self.bmc.node} {action_id}: {text} (executed {self.bmc.executed}, "
                          f"Chassis Controls {self.bmc.controls})")

    def outcomes(self, *which):
        return [action for action in self.actions if action["outcome"] in which]

    def claim(self, said):
        """The outcome that these words claim for an action, or None."""
        if said.what in OUTCOMES:
            return said.what
        if said.what == "error" and said.id in self.by_id:
            return "failed"
        return None

    def told(self, action):
        """What callers were told of this action; "nothing" when none heard of an outcome."""
        claims = {self.claim(said) for said in self.said
                  if said.id == action["id"] and said.who != "watcher"}
        return next((outcome for outcome in OUTCOMES if outcome in claims), "nothing")

    def executions(self, action):
        """How many of the BMC's executions are this action's: an earlier one that failed has none,
        if there is another that may have them."""
        others = self.outcomes("delivered", "unknown")
        if action["outcome"] == "failed" and others or others and action is not others[0]:
            return 0
        return self.bmc.executed


def sends_of(action):
    """How many Chassis Controls this action may have sent: sent(n) is recorded before each."""
    if not action["sent_at"]:
        return 0
    return (action.get("evidence") or {}).get("sends", 1)


# ---- The rules: each takes a Case and complains ----

def rule_once(case):
    bmc = case.bmc
    if bmc.executed > (2 if bmc.group.twice else 1):
        case.complain(MORE_THAN_ONCE)
    if len(case.outcomes("delivered")) > 1:
        case.complain("delivered twice")


def rule_wire(case):
    """Each Chassis Control that left is in the journal, and no more left."""
    bmc, allowed = case.bmc, sum(sends_of(action) for action in case.actions)
    seen = bmc.distinct if bmc.distinct >= 0 else bmc.controls
    if seen > allowed:
        case.complain(f"{seen} Chassis Controls left nmid, the journal has {allowed}")


def rule_delivered(case):
    if case.bmc.executed:
        return
    for action in case.outcomes("delivered"):
        case.complain("delivered, but not executed", action["id"])
    for said in case.said:
        if case.claim(said) == "delivered" and said.id not in case.by_id:
            case.complain(f"{said.who} was told delivered, but it was not executed", said.id)


def rule_failed(case):
    if case.bmc.executed and not case.outcomes("delivered", "unknown"):
        ids = " ".join(action["id"] for action in case.actions)
        case.complain(f"executed, but every action failed: {ids}")
    for action in case.actions:
        if action["outcome"] == "delivered" and not action["sent_at"]:
            case.complain("delivered, but never sent", action["id"])


def rule_told(case):
    """The journal has what was accepted, and says what the callers were told."""
    for said in case.said:
        action, claim = case.by_id.get(said.id), case.claim(said)
        if said.what == "vanished":
            case.complain(f"{said.who} was told 202, then 404", said.id)
        elif said.what == "unsent" and case.bmc.executed and not case.actions:
            case.complain(f"{said.who} said that nothing was sent")
        elif said.what == "maybe" and (action is None or action["outcome"] == "failed"):
            case.complain(f"{said.who} was told that it may have been delivered", said.id)
        elif action is None and (said.what == "accepted" or claim):
            case.complain(f"{said.who} was told {said.what}; the journal has no such action",
                          said.id)
        elif claim and action["outcome"] != claim:
            case.complain(f"{said.who} was told {claim} ({said.text}), the journal says "
                          f"{action['outcome']} ({action['code']})", said.id)


def rule_key(case):
    """These callers have one Idempotency-Key for all their requests, across every restart. The
    record of a batch's node that was refused at once uses up no key, as a refusal alone does not."""
    taken = [action for action in case.actions if action["created_at"] != action["finished_at"]]
    if case.bmc.caller in ONE_KEY and len(taken) > 1:
        case.complain(f"one Idempotency-Key made {len(taken)} actions")


def rule_finished(case):
    for action in case.actions:
        if action["state"] != "finished" or action["outcome"] not in OUTCOMES:
            case.complain(f"has not ended: {action['state']}", action["id"])


def ended_between(case, start, end):
    return any(start <= until and since <= end for since, until in case.ends)


def rule_reasons(case):
    """What did not succeed has a reason that this BMC's faults, or the daemon's end, can give."""
    may, ids = case.bmc.group.may, set(case.by_id)
    for action in case.actions:
        outcome, code = action["outcome"], action["code"]
        if outcome == "delivered" and not case.bmc.group.delivers:
            case.complain("delivered by a BMC that never says so", action["id"])
        if outcome == "delivered" or code in may:
            continue
        if code in ENDED and outcome == ENDED[code][0]:
            start = moment(action[ENDED[code][1]])
            if start is None or not ended_between(case, start, moment(action["finished_at"])):
                case.complain(f"{code}, but the daemon was not ended meanwhile", action["id"])
        elif not (code in REFUSALS and len(ids) > 1):
            case.complain(f"{outcome} ({code}: {action['message']}) without a cause",
                          action["id"])


def rule_evidence(case):
    """Evidence is a claim too."""
    prompt, executed = case.bmc.group.prompt, case.bmc.executed
    for action in case.outcomes("unknown"):
        evidence = action["evidence"] or {}
        sequence, sel = evidence.get("sequence"), evidence.get("sel")
        if sel == "interrupt-recorded":
            case.complain("unknown, but the SEL has it", action["id"])
        if not prompt or case.bmc.group.proxy:
            continue
        if sequence == "no-answer-seen" and executed and "control_delay_ms" not in \
                case.bmc.group.settings:
            case.complain("evidence no-answer-seen, but it was answered", action["id"])
        if sequence == "answered-but-lost" and not executed and case.bmc.group.executes:
            case.complain("evidence answered-but-lost, but never executed", action["id"])
        if sel == "nothing-new" and executed and \
                not {"sel_records", "sel_delay_ms"} & case.bmc.group.settings.keys():
            case.complain("evidence: nothing new in the SEL, but executed", action["id"])


RULES = (rule_once, rule_wire, rule_delivered, rule_failed, rule_told, rule_key, rule_finished,
         rule_reasons, rule_evidence)


def cases(record):
    said, actions = collections.defaultdict(list), collections.defaultdict(list)
    for words in record.said:
        said[words.node].append(words)
    for action in record.journal:
        actions[action["node_name"]].append(action)
    return [Case(bmc, said[bmc.node], actions[bmc.node], record.ends) for bmc in record.bmcs]


def violations(record):
    """-> sentences, each with the node and the action's id; none when the promise held."""
    found = []
    for case in cases(record):
        for rule in RULES:
            rule(case)
        found.extend(case.found)
    known = {bmc.node for bmc in record.bmcs}
    found.extend(f"{action['node_name']} {action['id']}: an action on no BMC of the storm"
                 for action in record.journal if action["node_name"] not in known)
    return found
