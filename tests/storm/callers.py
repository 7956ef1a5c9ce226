# SPDX-License-Identifier: GPL-3.0-or-later
"""The storm's callers: threads that ask nmid for interrupts over contracts 1 and 4, leave in the
middle, ask again, and write down every word that they hear (verdict.Said). Their times are those
of the real clients, compressed: python-ironicclient asks six times in 11 s, nova-compute 60 times,
2 s apart."""
import http.client
import json
import random
import re
import socket
import subprocess
import threading
import time
import uuid

import lab
from verdict import OUTCOMES, Said

PATIENCE_S = 150  # for one answer; then the storm itself has failed
EARLIER = re.compile(r"an NMI (was|may have been) delivered to .*\(action (req-[0-9a-f-]{36})\)")
EARLIER_TEXT = "in a refusal"
AGAIN = ("stopping", "unreachable", "deadline", "bmc-busy", "protocol")
BATCH = 8


class Answer:
    def __init__(self, status, headers, data):
        self.status, self.data = status, data
        self.id = headers.get("X-Openstack-Request-Id") or ""

    def error(self):
        """Contract 4's, or Nova's."""
        if not isinstance(self.data, dict):
            return {}
        return self.data.get("error") or next(iter(self.data.values()), {})


class Caller:
    """One of them; run() takes jobs until there are none."""

    def __init__(self, storm, number):
        self.storm = storm
        self.random = random.Random(f"{storm.seed} caller {number}")
        self.kinds = {"agent": self.agent, "agent-drops": self.agent_drops,
                      "agent-batch": self.agent_batch, "agent-no-key": self.agent_no_key,
                      "nova": self.nova, "nova-key": self.nova_key,
                      "nova-ironicclient": self.nova_ironicclient,
                      "nova-compute": self.nova_compute, "nmictl": self.nmictl}

    def run(self):
        for kind, nodes in iter(self.storm.next_job, None):
            self.kinds[kind](nodes)
            self.storm.job_done(len(nodes))

    def say(self, node, who, what, action_id="", text=""):
        self.storm.said.append(Said(node, who, what, action_id or "", text or ""))

    def key(self):
        return str(uuid.UUID(int=self.random.getrandbits(128)))

    # ---- HTTP ----

    def ask(self, method, path, body=None, key=None, leave=None, cut=False):
        """One request on a connection of its own. None: no answer was heard. leave: for so long
        it waits before it drops the connection; cut: drops it in the middle of the body."""
        data = b"" if body is None else json.dumps(body).encode()
        head = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        if key:
            head["Idempotency-Key"] = key
        connection = http.client.HTTPConnection("127.0.0.1", self.storm.port,
                                                timeout=leave or PATIENCE_S)
        try:
            connection.request(method, path, data[:len(data) // 2] if cut else data, head)
            if cut or leave == 0:
                return None
            answer = connection.getresponse()
            text = answer.read()
            return Answer(answer.status, answer.headers, json.loads(text) if text else None)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def until_heard(self, method, path, body=None, key=None):
        """The same request until it is answered, as only one with a key may be."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.storm.up.wait(1)
            answer = self.ask(method, path, body, key)
            if answer:
                return answer
            self.storm.pause(0.02)
        raise AssertionError(f"{method} {path}: no answer within {PATIENCE_S} s")

    # ---- Contract 4 ----

    def hear_error(self, node, who, error):
        code, message = error.get("code"), error.get("message") or ""
        self.say(node, who, "refused", error.get("action_id"), str(code))
        self.hear_earlier(node, who, message)
        return code

    def hear_earlier(self, node, who, message):
        """A refusal tells what became of an earlier action: a claim as well."""
        found = EARLIER.search(message)
        if found:
            self.say(node, who, "delivered" if found[1] == "was" else "maybe", found[2],
                     EARLIER_TEXT)

    def hear_action(self, node, who, action):
        if action["state"] == "finished":
            self.say(node, who, action["outcome"], action["id"], action["code"])
        return action["state"] == "finished"

    def await_end(self, node, who, action):
        """Polls, long or short, until the action has ended; returns it."""
        while not self.hear_action(node, who, action):
            wait = self.random.choice((0, 0, 5, 30))
            answer = self.until_heard("GET", f"/agent/v1/actions/{action['id']}?wait={wait}")
            if answer.status != 200:
                self.say(node, who, "vanished", action["id"], str(answer.status))
                return None
            action = answer.data
            if not wait:
                self.storm.pause(self.random.random() * 0.2)
        return action

    def post(self, node, who, key):
        """Until its outcome is known; returns the finished action, or None when it was refused."""
        answer = self.until_heard("POST", f"/agent/v1/nodes/{node}/actions",
                                  {"action": "inject_nmi"}, key)
        if answer.status != 202:
            return self.refused(node, who, answer)
        self.say(node, who, "accepted", answer.data["id"])
        return self.await_end(node, who, answer.data)

    def refused(self, node, who, answer):
        code = self.hear_error(node, who, answer.error())
        if code in ("stopping", "journal", "in-flight"):
            return {"code": "stopping"}  # the next one may try again
        return None

    def agent(self, nodes, who="agent"):
        """With a key; and, when it surely was not sent, once or twice more with another."""
        for node in nodes:
            for _ in range(3):
                action = self.post(node, who, self.key())
                if not action or action["code"] not in AGAIN or self.random.random() < 0.4:
                    break

    def agent_drops(self, nodes):
        """Sends, leaves, and sends again with the same key until it hears."""
        for node in nodes:
            key, body = self.key(), {"action": "inject_nmi"}
            for _ in range(self.random.randint(1, 4)):
                self.ask("POST", f"/agent/v1/nodes/{node}/actions", body, key,
                         leave=self.random.choice((0, 0.001, 0.01, 0.1)),
                         cut=self.random.random() < 0.2)
            self.post(node, "agent-drops", key)

    def agent_no_key(self, nodes):
        """As a script would: no key, and again while it hears nothing. Hold-off is all it has."""
        for node in nodes:
            for _ in range(4):
                self.storm.up.wait(1)
                answer = self.ask("POST", f"/agent/v1/nodes/{node}/actions",
                                  {"action": "inject_nmi"},
                                  leave=self.random.choice((0, 0.01, None)))
                if answer and answer.status == 202:
                    self.say(node, "agent-no-key", "accepted", answer.data["id"])
                    self.await_end(node, "agent-no-key", answer.data)
                elif answer:
                    self.hear_error(node, "agent-no-key", answer.error())

    def agent_batch(self, nodes):
        key, body = self.key(), {"action": "inject_nmi", "nodes": nodes}
        for _ in range(self.random.randint(0, 1)):
            self.ask("POST", "/agent/v1/actions", body, key, leave=0.02)
        answer = self.until_heard("POST", "/agent/v1/actions", body, key)
        if answer.status != 202:
            for node in nodes:
                self.hear_error(node, "agent-batch", answer.error())
            return
        for action in answer.data["actions"]:
            if action["id"]:
                self.say(action["node_name"], "agent-batch", "accepted", action["id"])
                self.await_end(action["node_name"], "agent-batch", action)

    # ---- Contract 1 ----

    def put(self, node, who, key=None, leave=None, name="inject_nmi"):
        """-> the answer's status, or None when nothing was heard."""
        answer = self.ask("PUT", f"/v2.1/servers/{node}/action", {name: None}, key, leave)
        if not answer:
            return None
        message = answer.error().get("message") or "" if answer.status != 202 else ""
        what = "delivered" if answer.status == 202 else "error"
        if message.startswith("It is unknown whether the NMI was delivered"):
            what = "unknown"
        self.say(node, who, what, answer.id, f"{answer.status} {message[:60]}")
        self.hear_earlier(node, who, message)
        return answer.status

    def nova(self, nodes):
        for node in nodes:
            self.storm.up.wait(1)
            self.put(node, "nova")

    def nova_key(self, nodes):
        for node in nodes:
            key, end = self.key(), time.monotonic() + PATIENCE_S
            self.put(node, "nova-key", key, leave=self.random.random() * 0.2)
            while self.put(node, "nova-key", key) is None and time.monotonic() < end:
                self.storm.up.wait(1)
                self.storm.pause(0.02)

    def repeat(self, node, who, times, pauses, leaves):
        """As a library repeats: after a dropped connection, a 409 and a 503."""
        for number in range(times):
            last = number == times - 1
            if self.put(node, who, leave=None if last else self.random.choice(leaves)) not in \
                    (None, 409, 503):
                return
            self.storm.pause(pauses[min(number, len(pauses) - 1)])

    def nova_ironicclient(self, nodes):
        for node in nodes:
            self.repeat(node, "nova-ironicclient", 6, (0.05, 0.1, 0.2, 0.4, 0.5),
                        (0.01, 0.1, 0.4, 3))

    def nova_compute(self, nodes):
        for node in nodes:
            self.repeat(node, "nova-compute", 60, (0.08,), (0.01, 0.05))

    # ---- nmictl ----

    def nmictl(self, nodes):
        self.storm.up.wait(10)
        done = subprocess.run([lab.built("nmictl"), "-u", f"http://127.0.0.1:{self.storm.port}",
                               "-f", "json", "inject-nmi", *nodes], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
        if lab.SANITIZER.search(done.stderr) or done.returncode not in (0, 1, 3, 4):
            raise AssertionError(f"nmictl: {done.returncode} {done.stderr}")
        items = json.loads(done.stdout) if done.stdout else []
        if done.returncode == 4:
            for node in nodes:
                self.say(node, "nmictl", "unsent")
            return
        for item in items:
            action_id, outcome = item.get("id"), item.get("outcome")
            code = item.get("code")
            if code == "connection-lost":  # it says that it does not know
                continue
            if action_id and outcome in OUTCOMES:
                self.say(item["node_name"], "nmictl", outcome, action_id, code)
            else:
                self.say(item["node_name"], "nmictl", "refused", "", code)


class Watcher(threading.Thread):
    """Reads the history over and over. What stands there was told, too."""

    def __init__(self, storm):
        super().__init__(daemon=True)
        self.storm, self.caller, self.heard = storm, Caller(storm, "watcher"), set()

    def run(self):
        while not self.storm.over:
            answer = self.caller.ask("GET", "/agent/v1/actions?limit=300", leave=5)
            for action in answer.data["actions"] if answer and answer.status == 200 else ():
                word = action["id"], action["outcome"]
                if action["state"] == "finished" and word not in self.heard:
                    self.heard.add(word)
                    self.caller.hear_action(action["node_name"], "watcher", action)
            self.storm.pause(0.03)


def free_port():
    """Below the ports that the kernel gives away: nobody takes it while the daemon is down."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")
