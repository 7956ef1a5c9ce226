#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that speaks enough of Keystone's Identity API v3 and can be told to misbehave.

In a test:

    keystone = FakeKeystone()              # serves http://127.0.0.1:PORT from now on
    self.addCleanup(keystone.stop)
    keystone.auth_url                      # "http://127.0.0.1:PORT/v3"; .url is without /v3
    token = keystone.issue("alice", project="demo")       # a token, without a log-in
    keystone.revoke(token)                 # from now on it is invalid (404 when validated)
    keystone.requests                      # what came: Request(method, path, headers, body, status)
    keystone.count("POST", "/v3/auth/tokens")             # how many of these came
    keystone.fault("GET", "/auth/tokens", "status=500", times=1)
    keystone.clear()                       # no fault any more
    keystone.down(); keystone.up()         # nobody listens; again, on the same port

Users (the password of NAME is "NAME-password"; all in the domain Default, id default), their
projects (the id of NAME is "NAME-id") and roles, as in USERS below. Application credentials:

    keystone.application_credential("alice", "demo", roles=["member"])   # -> (id, secret); its
                                                                         #    name is "alice-app"
    keystone.add_user("eve", "demo", ["member"], password="...")         # another user

Served: GET / and /v3 (discovery), POST /v3/auth/tokens (methods password, application_credential
and token; scope project, domain, system, unscoped), GET and HEAD (validation; the service's own
token in X-Auth-Token must have the role admin or service, or be of the same user) and DELETE
/v3/auth/tokens. Errors have Keystone's bodies.

A fault is a rule: it applies to the first `times` requests (0: to all) with this method whose path
matches. Given once more, it counts beside the others; the oldest that matches is used.

  status=N       answers N with Keystone's error body, having done nothing (401, 403, 500 ...)
  reject         401, as for an X-Auth-Token that is not good (nothing is revoked by it)
  slow=S         answers rightly, but S seconds later
  hang           never answers (until the client leaves or the server stops)
  close          closes the connection without an answer
  garbage        200 (201) and what is no JSON
  huge           200 (201) and 4 MiB of JSON in a right form
  json=TEXT      200 (201) and this body
  edit=JSON      the right answer, the members of this object put over those of "token" (null: taken
                 out), as in edit={"expires_at":"2001-01-01T00:00:00.000000Z"}
  expired        the right answer, but it expired a minute ago
  no-token       (POST) without the header X-Subject-Token
  redirect=URL   302

As a program: fake_keystone.py [--port PORT] [--expiration S] prints "ready port=N"; a PUT of
/fault with "METHOD PATH WHAT [TIMES]" adds a fault, a DELETE of /fault clears them.
"""
import argparse
import base64
import collections
import datetime
import json
import os
import re
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# name: ({project: roles}, roles on the system)
USERS = {
    "admin": ({"admin": ["admin", "member", "reader"]}, ["admin", "member", "reader"]),
    "auditor": ({}, ["reader"]),
    "alice": ({"demo": ["member", "reader"]}, []),
    "rita": ({"demo": ["reader"]}, []),
    "bob": ({"other": ["member", "reader"]}, []),
    "nmid": ({"service": ["service"]}, ["reader"]),
}
DOMAIN = {"id": "default", "name": "Default"}
TITLES = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
          500: "Internal Server Error", 503: "Service Unavailable"}
Request = collections.namedtuple("Request", "method path headers body status")


class Refusal(Exception):
    """An error in Keystone's form."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status, self.message = status, message


def unauthorized():
    return Refusal(401, "The request you have made requires authentication.")


def time_text(seconds):
    return datetime.datetime.utcfromtimestamp(seconds).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Fault:
    def __init__(self, method, path, what, times):
        self.method, self.path, self.times = method, re.compile(path), times
        self.what, _, self.argument = what.partition("=")
        self.used = 0

    def takes(self, method, path):
        if method != self.method or not self.path.search(path):
            return False
        if self.times and self.used >= self.times:
            return False
        self.used += 1
        return True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake-keystone"
    wbufsize = 65536  # an answer is one segment, and no client waits for the rest of it

    def handle_one(self):
        keystone = self.server.keystone
        length = int(self.headers.get("Content-Length") or 0)
        self.text = self.rfile.read(length).decode()
        path = urlsplit(self.path).path
        if path == "/fault":
            self.change_faults(keystone)
            return
        with keystone.lock:
            fault = next((fault for fault in keystone.faults
                          if fault.takes(self.command, self.path)), None)
        self.run(keystone, path, fault)

    do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = handle_one

    def change_faults(self, keystone):
        if self.command == "DELETE":
            keystone.clear()
        else:
            method, path, what, *times = self.text.split()
            keystone.fault(method, path, what, int(times[0]) if times else 0)
        self.answer(204)

    def run(self, keystone, path, fault):
        what = fault.what if fault else ""
        if what == "hang":
            self.log(0)
            keystone.stopping.wait()
        if what in ("hang", "close"):
            self.log(0)
            self.close_connection = True
            return
        if what == "slow":
            keystone.stopping.wait(float(fault.argument))
        try:
            if what == "status":
                status = int(fault.argument)
                raise Refusal(status, "An error of the test.")
            if what == "reject":
                raise unauthorized()
            if what == "redirect":
                self.answer(302, headers={"Location": fault.argument})
                return
            status, body, headers = keystone.handle(self.command, path, self.headers, self.text)
            self.spoil(keystone, fault, status, body, headers)
        except Refusal as refusal:
            headers = {"WWW-Authenticate": f'Keystone uri="{keystone.url}"'}
            self.answer(refusal.status, {"error": {
                "code": refusal.status, "message": refusal.message,
                "title": TITLES.get(refusal.status, "Error")}},
                headers if refusal.status == 401 else {})

    def spoil(self, keystone, fault, status, body, headers):
        what = fault.what if fault else ""
        if what == "garbage":
            body = "<html>\x00 this is no JSON"
        elif what == "json":
            body = fault.argument
        elif what == "huge":
            body = {**body, "padding": "x" * (4 << 20)}
        elif what == "expired":
            body["token"].update(issued_at=time_text(time.time() - 3600),
                                 expires_at=time_text(time.time() - 60))
        elif what == "edit":
            body["token"].update(json.loads(fault.argument))
            body["token"] = {key: value for key, value in body["token"].items()
                             if value is not None}
        elif what == "no-token":
            headers.pop("X-Subject-Token", None)
        self.answer(status, body, headers)

    def log(self, status):
        keystone = self.server.keystone
        headers = {name.lower(): value for name, value in self.headers.items()}
        with keystone.lock:
            keystone.requests.append(Request(self.command, self.path, headers, self.text, status))

    def answer(self, status, body=None, headers=None):
        self.log(status)
        payload = b"" if body is None else \
            (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address):
        super().__init__(address, Handler)
        self.connections = set()

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some tests are about."""


class FakeKeystone:
    def __init__(self, port=0, expiration_s=3600):
        self.lock = threading.RLock()
        self.expiration_s = expiration_s
        self.faults, self.requests = [], []
        self.users, self.tokens, self.credentials = {}, {}, {}
        for name, (projects, system) in USERS.items():
            self.users[name] = {"id": name + "-id", "name": name, "password": name + "-password",
                                "projects": dict(projects), "system": system}
        self.port = port
        self.up()

    # ---- For tests ----

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def auth_url(self):
        return self.url + "/v3"

    def up(self):
        self.stopping = threading.Event()
        self.server = Server(("127.0.0.1", self.port))
        self.server.keystone = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def down(self):
        """Nobody listens any more, and what was connected is cut off."""
        if self.server is None:
            return
        self.stopping.set()
        self.server.shutdown()
        self.thread.join()
        for request in list(self.server.connections):
            try:
                request.shutdown(2)
            except OSError:
                pass
        self.server.server_close()
        self.server = None

    stop = down

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def fault(self, method, path, what, times=0):
        with self.lock:
            self.faults.append(Fault(method, path, what, times))

    def clear(self):
        with self.lock:
            self.faults.clear()

    def count(self, method, path):
        """How many requests with this method and a path that begins so came."""
        with self.lock:
            return sum(request.method == method and request.path.startswith(path)
                       for request in self.requests)

    def add_user(self, name, project=None, roles=(), system=(), password=None):
        with self.lock:
            self.users[name] = {"id": name + "-id", "name": name,
                                "password": password or name + "-password",
                                "projects": {project: list(roles)} if project else {},
                                "system": list(system)}

    def application_credential(self, user, project, roles=None, access_rules=None):
        identity, secret = uuid.uuid4().hex, base64.urlsafe_b64encode(os.urandom(48)).decode()
        with self.lock:
            self.credentials[identity] = {
                "id": identity, "name": user + "-app", "secret": secret, "user": user,
                "project": project, "roles": roles or self.users[user]["projects"][project],
                "access_rules": access_rules}
        return identity, secret

    def issue(self, user, project=None, system=False, domain=False, expires_s=None, roles=None,
              credential=None, methods=("password",), **more):
        """A token of this user; `more` is put over its members (see "edit")."""
        entry, now = self.users[user], time.time()
        if expires_s is None:
            expires_s = self.expiration_s
        token = {"methods": list(methods),
                 "user": {"domain": DOMAIN, "id": entry["id"], "name": user,
                          "password_expires_at": None},
                 "audit_ids": [uuid.uuid4().hex[:22]],
                 "expires_at": time_text(now + expires_s), "issued_at": time_text(now)}
        if project:
            token["project"] = {"domain": DOMAIN, "id": project + "-id", "name": project}
            token["is_domain"] = False
            roles = entry["projects"][project] if roles is None else roles
        elif system:
            token["system"] = {"all": True}
            roles = entry["system"] if roles is None else roles
        elif domain:
            token["domain"] = DOMAIN
        if roles is not None:
            token["roles"] = [{"id": role + "-id", "name": role} for role in roles]
        if credential:
            token["application_credential"] = {
                "id": credential["id"], "name": credential["name"], "restricted": True}
            if credential["access_rules"]:
                token["application_credential"]["access_rules"] = credential["access_rules"]
        token.update(more)
        identity = "gAAAAA" + base64.urlsafe_b64encode(os.urandom(135)).decode()
        with self.lock:
            self.tokens[identity] = (token, now + expires_s)
        return identity

    def revoke(self, token):
        with self.lock:
            self.tokens.pop(token, None)

    def revoke_all(self, user):
        with self.lock:
            self.tokens = {identity: value for identity, value in self.tokens.items()
                           if value[0]["user"]["id"] != self.users[user]["id"]}

    # ---- The API ----

    def handle(self, method, path, headers, text):
        """(status, body, headers), or a Refusal."""
        version = {"id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
                   "links": [{"rel": "self", "href": self.auth_url + "/"}],
                   "media-types": [{"base": "application/json",
                                    "type": "application/vnd.openstack.identity-v3+json"}]}
        if method in ("GET", "HEAD") and path == "/":
            return 300, {"versions": {"values": [version]}}, {"Location": self.auth_url + "/"}
        if method in ("GET", "HEAD") and path in ("/v3", "/v3/"):
            return 200, {"version": version}, {}
        if path != "/v3/auth/tokens":
            raise Refusal(404, "The requested URL was not found on the server.")
        with self.lock:
            if method == "POST":
                return self.log_in(text)
            if method in ("GET", "HEAD"):
                return self.validate(headers)
            if method == "DELETE":
                self.find_token(headers.get("X-Auth-Token"), unauthorized())
                self.find_token(headers.get("X-Subject-Token"))
                self.revoke(headers.get("X-Subject-Token"))
                return 204, None, {}
        raise Refusal(405, "The method is not allowed for the requested URL.")

    def find_token(self, identity, refusal=None):
        token, expires = self.tokens.get(identity, (None, 0))
        if expires <= time.time():
            raise refusal or Refusal(404, f"Could not find token: {identity}.")
        return token

    def validate(self, headers):
        own = self.find_token(headers.get("X-Auth-Token"), unauthorized())
        subject = headers.get("X-Subject-Token")
        roles = {role["name"] for role in own.get("roles", [])}
        known = self.tokens.get(subject, ({}, 0))[0]
        if not roles & {"admin", "service"} and own["user"] != known.get("user"):
            raise Refusal(403, "You are not authorized to perform the requested action: "
                               "identity:validate_token.")
        token = self.find_token(subject)
        credential = self.credentials.get(token.get("application_credential", {}).get("id"), {})
        if credential.get("access_rules") and \
                float(headers.get("OpenStack-Identity-Access-Rules") or 0) < 1:
            raise Refusal(404, "Failed to validate token")
        return 200, {"token": dict(token)}, {"X-Subject-Token": subject, "Vary": "X-Auth-Token"}

    def log_in(self, text):
        try:
            auth = json.loads(text)["auth"]
            methods = auth["identity"]["methods"]
        except (ValueError, KeyError, TypeError):
            raise Refusal(400, "'auth' is a required property") from None
        entry, credential = None, None
        for method in methods:
            data = auth["identity"].get(method, {})
            if method == "password":
                entry = self.by_password(data.get("user", {}))
            elif method == "application_credential":
                entry, credential = self.by_credential(data)
            elif method == "token":
                user = self.find_token(data.get("id"), unauthorized())["user"]
                entry = self.users[user["name"]]
            else:
                raise unauthorized()
        if entry is None:
            raise unauthorized()
        more = self.scope(entry, auth.get("scope"), credential)
        identity = self.issue(entry["name"], methods=methods, credential=credential, **more)
        return 201, {"token": dict(self.tokens[identity][0])}, {"X-Subject-Token": identity}

    def user(self, data):
        """By id, or by name and domain."""
        for entry in self.users.values():
            if data.get("id") == entry["id"]:
                return entry
        if data.get("domain", {}).get("id") == DOMAIN["id"] or \
                data.get("domain", {}).get("name") == DOMAIN["name"]:
            return self.users.get(data.get("name"))
        return None

    def by_password(self, data):
        if "id" not in data and "domain" not in data:
            raise Refusal(400, "Expecting to find domain in user. The server could not comply with "
                               "the request since it is either malformed or otherwise incorrect. "
                               "The client is assumed to be in error.")
        entry = self.user(data)
        if entry is None or data.get("password") != entry["password"]:
            raise unauthorized()
        return entry

    def by_credential(self, data):
        user = self.user(data.get("user", {})) or {"name": None}
        for credential in self.credentials.values():
            if credential["secret"] == data.get("secret") and (
                    data.get("id") == credential["id"] or
                    (data.get("name") == credential["name"] and
                     user["name"] == credential["user"])):
                return self.users[credential["user"]], credential
        raise unauthorized()

    def scope(self, entry, scope, credential):
        """What issue() is told."""
        if credential:
            if scope:
                raise Refusal(401, "Application credentials cannot request a scope.")
            return {"project": credential["project"], "roles": credential["roles"]}
        if not scope or scope == "unscoped" or "unscoped" in scope:
            return {}
        if "system" in scope:
            if not entry["system"]:
                raise unauthorized()
            return {"system": True}
        if "domain" in scope:
            return {"domain": True, "roles": []}
        project = scope.get("project", {})
        for name in entry["projects"]:
            if project.get("id") == name + "-id" or (
                    project.get("name") == name and project.get("domain", {}) in
                    ({"id": DOMAIN["id"]}, {"name": DOMAIN["name"]}, DOMAIN)):
                return {"project": name}
        raise unauthorized()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--expiration", type=float, default=3600)
    options = parser.parse_args()
    keystone = FakeKeystone(options.port, options.expiration)
    print(f"ready port={keystone.port}", flush=True)
    keystone.thread.join()


if __name__ == "__main__":
    main()
