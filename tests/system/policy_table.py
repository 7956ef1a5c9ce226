# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/policy.md, as test_policy_table.py and people read them.

read() gives who asks, what is asked, and for each policy the cases: one for each cell and each call
that the cell is about. What cannot be understood is an error, so no cell goes untested.
"""
import json
import re
from dataclasses import dataclass, field

import lab

PATH = lab.top_srcdir / "docs/policy.md"
# What a column says of the node: its project, and whether it is locked. None: there is no such node.
NODES = {"of demo": ("demo", False), "of demo, locked": ("demo", True),
         "of other": ("other", False), "of other, locked": ("other", True),
         "of nobody": (None, False), "absent": None}
LOCKED_MEMBER = "locked, asked by the member"
FORCE = "force, asked by the administrator"
CELL = re.compile(r"\d{3}( [a-z]+)?|listed|not listed")


@dataclass
class Person:
    name: str
    credentials: str
    role: str
    project: str
    system: bool

    @property
    def login(self):
        return re.sub(r"[^a-z]+", "-", self.name)

    @property
    def local(self):
        return "UNIX socket" in self.credentials

    @property
    def password(self):
        """What it sends; None: no credentials at all."""
        if self.credentials.startswith("none"):
            return None
        return "wrong" if self.credentials.startswith("wrong") else f"password of {self.login}"

    @property
    def entry(self):
        """Its place in the users of nmid.conf, or None."""
        if self.local or self.password is None or "in no entry" in self.credentials:
            return None
        entry = {"name": self.login, "roles": [self.role or "member"], "system": self.system}
        return {**entry, "project_id": self.project} if self.project else entry


@dataclass
class Call:
    name: str
    method: str
    path: str
    body: dict

    @property
    def action(self):
        """What it injects, or None."""
        if self.path.endswith("/inject_nmi"):
            return "inject_nmi"
        for name in ("inject_nmi", "trigger_crash_dump"):
            if self.body is not None and (self.body.get("action") == name or name in self.body):
                return name
        return None

    @property
    def force(self):
        return bool(self.body and self.body.get("force"))

    @property
    def contract(self):
        if self.path.startswith("/v1/"):
            return "ironic"
        return "nova" if self.path.startswith("/v2.1") else "agent"


@dataclass
class Case:
    line: int  # of docs/policy.md
    who: Person
    call: Call
    column: str
    expected: str
    node: tuple = None  # project, locked; None: no such node, or none in particular
    status: str = "ACTIVE"

    def __str__(self):
        return (f"docs/policy.md:{self.line}: {self.who.name}, {self.call.name}, {self.column}"
                f"{'' if self.status == 'ACTIVE' else ', ' + self.status}")


@dataclass
class Section:
    name: str
    policy: dict
    cases: list = field(default_factory=list)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def tables(lines):
    """Yields (line number of the header, header, [(line number, row)]) of each table."""
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and lines[end].startswith("|"):
            end += 1
        if end - start > 2:
            yield start, cells(lines[start]), [(i + 1, cells(lines[i]))
                                               for i in range(start + 2, end)]
        start = end + 1


def calls_before(lines, start):
    """The names behind the last "Calls:" above a table, in its own section and paragraph."""
    text = []
    at = start - 2  # an empty line stands between
    while at >= 0 and lines[at].strip() and not lines[at].startswith("#"):
        text.insert(0, lines[at])
        at -= 1
    joined = " ".join(text)
    return re.findall(r"`([^`]+)`", joined.split(". ")[0]) if joined.startswith("Calls:") else None


def policy_value(text):
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("["):
        return re.findall(r'"([^"]*)"', text)
    return text.strip('"')


def section_of(lines, start):
    """The heading above a line, and the policy that stands below it."""
    at = start
    while not lines[at].startswith("#"):
        at -= 1
    policy = {}
    if lines[at].startswith("### "):
        text = "".join(line for line in lines[at:start] if line.startswith("    policy = {"))
        for key, value in re.findall(r'(\w+) = ("[^"]*"|true|false|\[[^\]]*\]);', text):
            policy[key] = policy_value(value)
    return lines[at].strip("# "), policy


class Reader:
    def __init__(self, text):
        self.lines = text.splitlines()
        self.people, self.calls, self.sections = {}, {}, {}
        for start, header, rows in tables(self.lines):
            self.table(start, header, rows)

    def wrong(self, line, what):
        raise AssertionError(f"docs/policy.md:{line}: {what}")

    def table(self, start, header, rows):
        if header[0] == "who" and header[1] == "credentials":
            for _, (name, credentials, role, project, scope) in rows:
                self.people[name] = Person(name, credentials, role, project, scope == "system")
        elif header[0] == "call":
            for _, (name, request, body) in rows:
                method, path = request.strip("`").split(" ")
                body = json.loads(body.strip("`")) if body else None
                self.calls[name] = Call(name, method, path, body)
        elif header[0] in ("who", "status"):
            self.expectations(start, header, rows)
        elif header[0] not in ("rule", ""):
            self.wrong(start + 1, f"no table begins with {header[0]!r}")

    def expectations(self, start, header, rows):
        heading, policy = section_of(self.lines, start)
        name = heading if policy else "the default"
        section = self.sections.setdefault(name, Section(name, policy))
        add = self.by_status if header[0] == "status" else self.by_person
        for line, row in rows:
            if len(row) != len(header):
                self.wrong(line, f"{len(row)} cells below {len(header)}")
            for column, cell in zip(header[1:], row[1:]):
                if not CELL.fullmatch(cell):
                    self.wrong(line, f"no status: {cell!r}")
                before = len(section.cases)
                add(section, start, line, row[0], column, cell)
                if len(section.cases) == before:
                    self.wrong(line, f"nothing asks for the column {column!r}")

    def by_person(self, section, start, line, who, column, cell):
        calls = calls_before(self.lines, start)
        if calls is None:
            section.cases.append(Case(line, self.people[who], self.calls[column], column, cell))
            return
        if column not in NODES:
            self.wrong(line, f"unknown column {column!r}")
        for name in calls:
            section.cases.append(Case(line, self.people[who], self.calls[name], column, cell,
                                      NODES[column]))

    def by_status(self, section, start, line, status, column, cell):
        member, administrator = self.people["member"], self.people["administrator"]
        for call in self.calls.values():
            if call.action is None:
                continue
            if column == FORCE:
                askers = [(administrator, False)] if call.force else []
            elif call.force:
                askers = []
            elif column == LOCKED_MEMBER:
                askers = [(member, True)]
            elif column == call.action:
                askers = [(member, False), (administrator, False), (administrator, True)]
            else:
                askers = []
            for who, locked in askers:
                section.cases.append(Case(line, who, call, column, cell, ("demo", locked), status))


def read():
    return Reader(PATH.read_text(encoding="utf-8"))
