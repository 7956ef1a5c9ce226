#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that speaks nmid's agent API (contract 4) and can be told to misbehave.

It knows no BMC: an action gets the outcome that the test chose for its node. It counts what a
machine would have felt: one injection for each new Idempotency-Key of a node.

A fault is a rule: it applies to the first `times` requests whose method and path it matches.
  drop         does the work, then closes the connection without an answer
  drop-before  closes the connection, having done nothing
  hang         does the work and never answers (until the client leaves or the server stops)
  status=N     answers N without a body, having done nothing
  garbage      does the work and answers what is no JSON
  huge         does the work and answers more than any cap allows
  redirect=URL answers 302, having done nothing
  restart=S    does the work, drops the connection, listens no more, and after S seconds again with
               the same keys and instance, as a nmid that was killed and started anew
  forget       does the work, drops the connection and forgets all keys, as a nmid that was started
               anew with another journal
Credentials: with `users` (name -> password) it asks for HTTP basic, with `keystone` (a FakeKeystone)
for one of its tokens; `credentials` has what each request brought along. /healthz says which it is,
unless `says_auth` is False, as in a nmid of before.
On the command line: --fault 'POST /actions$ drop 1'.
"""
import argparse
import base64
import json
import re
import socket
import socketserver
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit


class Fault:
    def __init__(self, method, path, what, times=1):
        self.method, self.path, self.times = method, re.compile(path), times
        self.what, _, self.argument = what.partition("=")
        self.over = False

    @classmethod
    def parse(cls, text):
        method, path, what, *times = text.split()
        return cls(method, path, what, int(times[0]) if times else 1)


def make_node(name, **more):
    node = {"uuid": str(uuid.uuid4()), "name": name, "instance_uuid": str(uuid.uuid4()),
            "project_id": "demo", "status": "ACTIVE", "status_source": "configuration",
            "locked": False, "lock_source": "configuration", "driver": "ipmi",
            "driver_info": {"ipmi_address": "10.0.0.1", "ipmi_username": "admin",
                            "ipmi_password": "******"}, "bmc": "10.0.0.1:623"}
    node.update(more)
    return node


class FakeNmid:
    """All state, under one lock. Tests read `posts`, `injections` and `requests`."""

    def __init__(self, nodes, socket_path=None, port=0):
        self.nodes = nodes
        self.faults = []
        self.outcomes = {}   # node name -> (outcome, code, message)
        self.evidence = {}   # node name -> the evidence of its actions
        self.settings = []   # (method, node name, "lock" or "status", body)
        self.refusals = {}   # node name -> list of (status, code, message, action_id), used up
        self.probes = {}     # node name -> (status, code, message)
        self.held = set()    # names of nodes whose actions do not finish
        self.tamper = None   # a function that may change an action before it is told
        self.instance = str(uuid.uuid4())
        self.page = 100
        self.endless = False
        self.requests = []   # (method, path)
        self.users = None    # name -> password
        self.keystone = None # a FakeKeystone
        self.says_auth, self.strategy = True, None
        self.credentials = [] # (Authorization, X-Auth-Token), each of them or None
        self.posts = []      # (node name, key, body)
        self.injections = {} # node name -> count
        self.actions = {}    # id -> action, in the order of their making
        self.keys = {}
        self.polling = self.polling_most = 0
        self.changed = threading.Condition()
        self.stopping = False
        self.restarts, self.again = 0, None
        self.server = _Server(self, socket_path, ("127.0.0.1", port))
        self.url = ("unix:" + socket_path if socket_path
                    else "http://127.0.0.1:%d" % self.server.server_address[1])

    def __enter__(self):
        self.serve()
        return self

    def serve(self):
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        with self.changed:
            if self.stopping:
                return
            self.stopping = True
            self.changed.notify_all()
        if self.again is not None:
            self.again.cancel()
            self.again.join()
        self.server.shutdown()
        self.server.server_close()

    def restart(self, seconds):
        """Listens no more, and after so many seconds again, where it did."""
        self.server.over = True
        self.server.shutdown()
        self.server.server_close()
        self.again = threading.Timer(seconds, self.come_again, (self.server.server_address,))
        self.again.start()

    def come_again(self, address):
        with self.changed:
            self.restarts += 1
            self.server = _Server(self, None, address)
            self.changed.notify_all()
        self.serve()

    def wait_until(self, condition, seconds=20):
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def fault(self, method, path, what, times=1):
        self.faults.append(Fault(method, path, what, times))
        return self.faults[-1]

    def let_go(self, fault):
        """Ends what hangs by this fault, with a lost connection."""
        with self.changed:
            fault.over = True
            self.changed.notify_all()

    def find(self, ident):
        for node in self.nodes:
            if ident.lower() in (node["uuid"], node["instance_uuid"]) or ident == node["name"]:
                return node
        return None

    def take_fault(self, method, path):
        for rule in self.faults:
            if rule.times > 0 and rule.method == method and rule.path.search(path):
                rule.times -= 1
                return rule
        return None

    def challenge(self, authorization, token):
        """None when these are good, else what a 401 asks for."""
        if self.keystone is not None:
            known = self.keystone.tokens.get(token, (None, 0))[1] > time.time()
            return None if known else 'Keystone uri="%s"' % self.keystone.url
        if self.users is not None:
            good = ["Basic " + base64.b64encode(("%s:%s" % pair).encode()).decode()
                    for pair in self.users.items()]
            return None if authorization in good else 'Basic realm="nmid"'
        return None

    def says(self):
        if self.strategy is not None:
            return self.strategy
        return ("keystone" if self.keystone is not None else
                "http_basic" if self.users is not None else "none")

    def make_action(self, node, name="inject_nmi"):
        action = {"id": "req-" + str(uuid.uuid4()), "node_uuid": node["uuid"],
                  "node_name": node["name"], "action": name, "contract": "agent",
                  "caller": {"user": "admin", "project_id": None, "address": "127.0.0.1"},
                  "state": "accepted", "outcome": None, "code": None, "message": None,
                  "evidence": {}, "created_at": "2026-11-22T21:28:23.000000Z", "sent_at": None,
                  "finished_at": None}
        self.actions[action["id"]] = action
        return action

    def finish(self, action):
        outcome, code, message = self.outcomes.get(action["node_name"], ("delivered", None, ""))
        action.update(state="finished", outcome=outcome, code=code, message=message,
                      evidence=self.evidence.get(action["node_name"], {}),
                      sent_at="2026-11-22T21:28:23.100000Z",
                      finished_at="2026-11-22T21:28:23.200000Z")

    def release(self, name):
        with self.changed:
            self.held.discard(name)
            self.changed.notify_all()

    def forget(self):
        self.keys.clear()
        self.instance = str(uuid.uuid4())


def error(status, code, message, action_id=None):
    return status, {}, {"error": {"code": code, "message": message, "action_id": action_id}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.handle_request("GET")

    def do_POST(self):
        self.handle_request("POST")

    def do_PUT(self):
        self.handle_request("PUT")

    def do_DELETE(self):
        self.handle_request("DELETE")

    def handle_request(self, method):
        fake = self.server.fake
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.server.over:  # a connection that was kept alive
            self.drop()
            return
        with fake.changed:
            fake.requests.append((method, self.path))
            brought = self.headers.get("Authorization"), self.headers.get("X-Auth-Token")
            fake.credentials.append(brought)
            challenge = None if self.path == "/healthz" else fake.challenge(*brought)
            rule = fake.take_fault(method, self.path)
            fake.changed.notify_all()
        what = rule.what if rule else ""
        if what == "drop-before":
            self.drop()
        elif what == "status":
            self.answer(int(rule.argument), {}, b"")
        elif what == "redirect":
            self.answer(302, {"Location": rule.argument}, b"")
        elif challenge is not None:
            refusal = error(401, "unauthorized", "The request you have made requires authentication.")
            self.answer(401, {"WWW-Authenticate": challenge}, json.dumps(refusal[2]).encode())
        else:
            self.misbehave(rule, *self.route(method, body))

    def misbehave(self, rule, status, headers, document):
        fake = self.server.fake
        what = rule.what if rule else ""
        if what == "forget":
            with fake.changed:
                fake.forget()
        if what == "restart":
            fake.restart(float(rule.argument))
        if what in ("drop", "forget", "restart"):
            self.drop()
        elif what == "hang":
            fake.wait_until(lambda: fake.stopping or rule.over, 120)
            self.drop()
        elif what == "garbage":
            self.answer(status, {}, b"<html>{{{ \x1b[31m not JSON")
        elif what == "huge":
            self.answer(status, headers, b'{"x": "' + b"x" * (2 << 20) + b'"}')
        else:
            self.answer(status, headers, json.dumps(document).encode())

    def drop(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, headers, body):
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # the client left

    def route(self, method, body):
        fake = self.server.fake
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        parts = [unquote(part) for part in url.path.split("/")[1:]]
        if url.path == "/healthz":
            health = {"status": "ok", "version": "0.1.0", "instance": fake.instance}
            if fake.says_auth:
                health["auth"] = fake.says()
            return 200, {}, health
        if parts[:2] != ["agent", "v1"]:
            return error(404, "not-found", "there is no such resource")
        with fake.changed:
            if method == "GET" and parts[2:] == ["nodes"]:
                return 200, {}, {"nodes": fake.nodes}
            if method == "GET" and parts[2:] == ["actions"]:
                return self.history(query)
            if method == "GET" and parts[2] == "actions":
                return self.poll(parts[3], query)
            node = fake.find(parts[3])
            if node is None:
                return error(404, "node-not-found", "there is no node %s" % parts[3])
            if method == "POST" and parts[4:] == ["actions"]:
                return self.inject(node, body)
            if method == "POST" and parts[4:] == ["probe"]:
                return self.probe(node)
            if method in ("PUT", "DELETE") and parts[4:] in (["lock"], ["status"]):
                return self.set(method, parts[4], node, body)
            return 200, {}, node

    def inject(self, node, body):
        fake = self.server.fake
        name, key = node["name"], self.headers.get("Idempotency-Key")
        fake.posts.append((name, key, json.loads(body)))
        action = fake.keys.get((node["uuid"], key))
        if action is None and fake.refusals.get(name):
            return error(*fake.refusals[name].pop(0))
        if action is None:
            action = fake.make_action(node)
            fake.keys[(node["uuid"], key)] = action
            fake.injections[name] = fake.injections.get(name, 0) + 1
            fake.changed.notify_all()
        headers = {"Location": "/agent/v1/actions/" + action["id"],
                   "X-Openstack-Request-Id": action["id"]}
        return 202, headers, self.told(action)

    def set(self, method, what, node, body):
        fake = self.server.fake
        document = json.loads(body) if body else {}
        fake.settings.append((method, node["name"], what, document))
        if fake.refusals.get(node["name"]):
            return error(*fake.refusals[node["name"]].pop(0))
        key = {"lock": "locked", "status": "status"}[what]
        value = False if method == "DELETE" else document[key]
        node[key] = {"locked": False, "status": "ACTIVE"}[key] if value is None else value
        node[what + "_source"] = "configuration" if value is None else "run-time"
        return 200, {}, node

    def told(self, action):
        fake = self.server.fake
        action = dict(action)
        if fake.tamper:
            fake.tamper(action)
        return action

    def poll(self, ident, query):
        fake = self.server.fake
        action = fake.actions.get(ident)
        if action is None:
            return error(404, "not-found", "there is no action %s" % ident)
        if "wait" not in query:
            return 200, {}, self.told(action)
        fake.polling += 1
        fake.polling_most = max(fake.polling, fake.polling_most)
        fake.changed.notify_all()
        fake.changed.wait_for(lambda: fake.stopping or action["node_name"] not in fake.held,
                              float(query["wait"]))
        fake.polling -= 1
        fake.changed.notify_all()
        if action["node_name"] not in fake.held and action["state"] != "finished":
            fake.finish(action)
        return 200, {}, self.told(action)

    def probe(self, node):
        fake = self.server.fake
        if node["name"] in fake.probes:
            return error(*fake.probes[node["name"]])
        return 200, {}, {"node_uuid": node["uuid"], "node_name": node["name"], "power": "on",
                         "cipher_suite": 17, "protocol": "2.0", "elapsed_ms": 12}

    def history(self, query):
        fake = self.server.fake
        found = [a for a in reversed(fake.actions.values())
                 if query.get("node") in (None, a["node_uuid"])
                 and query.get("state") in (None, a["state"])]
        if "marker" in query and not fake.endless:
            found = found[[a["id"] for a in found].index(query["marker"]) + 1:]
        limit = min(int(query.get("limit", fake.page)), fake.page)
        page = found[:limit]
        more = len(found) > limit or fake.endless
        return 200, {}, {"actions": page, "next": page[-1]["id"] if more and page else None}


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self, fake, socket_path, address=("127.0.0.1", 0)):
        self.fake, self.over = fake, False
        if socket_path:
            self.address_family = socket.AF_UNIX
        super().__init__(socket_path or address, _Handler)

    def finish_request(self, request, client_address):
        super().finish_request(request, client_address or ("unix", 0))

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description="a fake nmid for tests of its clients")
    parser.add_argument("--node", action="append", default=[], help="the name of a node")
    parser.add_argument("--fault", action="append", default=[], help="'METHOD PATH WHAT [TIMES]'")
    parser.add_argument("--socket", help="listen on this UNIX socket, not on a free port")
    options = parser.parse_args()
    nodes = [make_node(name) for name in options.node or ["n1", "n2"]]
    with FakeNmid(nodes, options.socket) as fake:
        fake.faults = [Fault.parse(text) for text in options.fault]
        print("NMID_URL=" + fake.url, flush=True)
        try:
            fake.wait_until(lambda: False, None)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
