# SPDX-License-Identifier: GPL-3.0-or-later
"""One injection at nmid (its contract 4): asked for once, and followed to its outcome.

An NMI must not be sent twice. The POST bears an Idempotency-Key, so it may be repeated: but only
to the nmid that still has the journal in which the key is (its "instance"). What the first POST may
have started is known to have failed only when nmid's action says so: everything else is Unknown.
"""
import json
import os
import re
import time

import requests
from oslo_log import log

from ironic.common import exception

LOG = log.getLogger(__name__)

CONNECT_S = 5
ANSWER_S = 20  # nmid answers a POST when its disk has it, and may have to ask Ironic before
WAIT_S = 20    # a long poll
BODY_MAX = 1 << 20
ACTION_ID = re.compile(r"req-[0-9a-f-]{36}\Z")


class Refused(Exception):
    """nmid refused, and nothing was or will be sent. status and code are nmid's; status 0: it was
    not reached."""

    def __init__(self, status, code, message, action_id=None):
        super().__init__(message)
        self.status, self.code, self.message, self.action_id = status, code, message, action_id


class Unknown(Exception):
    """The interrupt may have been sent, or may still be."""

    def __init__(self, message, action_id=None):
        super().__init__(message)
        self.message, self.action_id = message, action_id


class Lost(Exception):
    """No answer of nmid's came."""


def _reason(error):
    """In short, and without what was sent."""
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed: " + str(error.args[0] if error.args else "")[-160:]
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "the connection timed out"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    number = re.search(r"\[Errno (\d{1,3})\]", str(error))
    if number:
        return os.strerror(int(number.group(1)))
    return "the name is not known" if "resol" in str(error) else "the connection was lost"


class Injection:
    """Of one node, under one key; run() once."""

    def __init__(self, target, node_uuid, key, clock=time.monotonic, sleep=time.sleep):
        self.target, self.node_uuid, self.key = target, node_uuid, key
        self.clock, self.sleep = clock, sleep
        self.end = clock() + target.timeout_s
        self.pause = 0.25
        self.sent = False  # whether a POST may have left
        self.http = requests.Session()
        self.http.trust_env = False  # no proxy, no .netrc, no CA file of the environment

    def run(self):
        """-> nmid's finished action (a dict); raises Refused or Unknown."""
        try:
            instance = self._first_instance()
            action = self._post(instance)
            while action["state"] != "finished":
                action = self._follow(action)
            return action
        finally:
            self.http.close()

    # -- HTTP

    def _left(self):
        return self.end - self.clock()

    def _body(self, answer):
        """All of it, if it is JSON and comes in time."""
        data = b""
        for chunk in answer.iter_content(65536):
            data += chunk
            if len(data) > BODY_MAX or self._left() <= 0:
                raise Lost("the answer is too long")
        try:
            body = json.loads(data)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Lost(f"HTTP {answer.status_code} that is not nmid's")
        return body

    def _ask(self, method, path, headers=None, body=None, answer_s=ANSWER_S):
        """-> (status, the JSON object that came); raises Lost."""
        left = self._left()
        if left <= 0:
            raise Lost("no answer in time")
        try:
            with self.http.request(method, self.target.url + path, headers=headers, json=body,
                                   timeout=(min(CONNECT_S, left), max(0.1, min(answer_s, left))),
                                   verify=self.target.verify, allow_redirects=False,
                                   stream=True) as answer:
                return answer.status_code, self._body(answer)
        except (requests.exceptions.RequestException, OSError, ValueError) as error:
            raise Lost(_reason(error)) from None

    def _ask_as(self, method, path, headers=None, **options):
        """The same with credentials; once more with new ones where they were refused, for then
        nothing was done."""
        for again in (False, True):
            try:
                who = self.target.headers()
            except exception.IronicException as error:
                if not self.sent:
                    raise
                raise Lost(str(error)) from None
            self.sent = self.sent or method == "POST"
            status, body = self._ask(method, path, {**who, **(headers or {})}, **options)
            if again or status != 401 or not self.target.forget():
                return status, body

    def _wait(self):
        """Before something is asked once more; False when there is no time for it."""
        pause = min(self.pause, self._left())
        if pause <= 0:
            return False
        self.sleep(pause)
        self.pause = min(self.pause * 2, 4)
        return True

    # -- What is asked

    def _instance(self):
        status, body = self._ask("GET", "/healthz", answer_s=5)
        if status != 200 or not isinstance(body.get("instance"), str):
            raise Lost(f"HTTP {status} that is not nmid's")
        return body["instance"]

    def _first_instance(self):
        try:
            return self._instance()
        except Lost as error:
            raise Refused(0, "not-reached", str(error)) from None

    @staticmethod
    def _refusal(status, body):
        """nmid's own error, or None: a proxy's no is not nmid's."""
        error = body.get("error")
        if status < 400 or not isinstance(error, dict) or not isinstance(error.get("code"), str):
            return None
        earlier = error.get("action_id")
        return Refused(status, error["code"], str(error.get("message", ""))[:1000],
                       earlier if isinstance(earlier, str) else None)

    @staticmethod
    def _action(status, body, wanted):
        if (status != wanted or not ACTION_ID.match(str(body.get("id")))
                or body.get("state") not in ("accepted", "sent", "finished")
                or (body["state"] == "finished") !=
                (body.get("outcome") in ("delivered", "failed", "unknown"))):
            raise Lost(f"HTTP {status} that is not nmid's")
        return body

    def _post(self, instance):
        """Asks for the injection until an answer of nmid's tells of it."""
        lost = []  # why, each reason once
        while True:
            try:
                if lost and self._instance() != instance:
                    raise Unknown(f"its answer was lost ({'; '.join(lost)}), and nmid has a new "
                                  "journal now: what the old one did is not known")
                status, body = self._ask_as(
                    "POST", f"/agent/v1/nodes/{self.node_uuid}/actions",
                    {"Idempotency-Key": self.key}, body={"action": "inject_nmi"})
                refusal = self._refusal(status, body)
                if refusal is None:
                    return self._action(status, body, 202)
                if not lost:
                    raise refusal
                # It says nothing of what the request before it did.
                why = f"asked again, it said: {refusal.message}"
            except Lost as error:
                why = str(error)
                LOG.warning("nmid's answer for node %s was lost (%s): asking again under the same "
                            "key, %s", self.node_uuid, why, self.key)
            if why not in lost and len(lost) < 4:
                lost.append(why[:300])
            if not self._wait():
                raise Unknown(f"nmid's answer was lost ({'; '.join(lost)})")

    def _follow(self, action):
        """Long polls, which change nothing and may be repeated."""
        identity, why = action["id"], "it has not finished"
        try:
            wait = max(1, min(WAIT_S, int(self._left())))
            status, body = self._ask_as("GET", f"/agent/v1/actions/{identity}?wait={wait}",
                                        answer_s=wait + CONNECT_S)
            refusal = self._refusal(status, body)
            if refusal is None:
                action = self._same(self._action(status, body, 200), identity)
                if action["state"] == "finished":
                    return action
            elif status in (400, 403, 404):
                raise Unknown(f"nmid does not tell of action {identity} any more: "
                              f"{refusal.message}", identity)
            else:
                why = refusal.message
        except Lost as error:
            why = str(error)
        if not self._wait():
            raise Unknown(f"nmid accepted action {identity}, and its outcome was not told in time "
                          f"({why})", identity)
        return action

    @staticmethod
    def _same(action, identity):
        if action["id"] != identity:
            raise Lost("another action than was asked for")
        return action
