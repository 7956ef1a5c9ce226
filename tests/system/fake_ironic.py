# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that answers GET /v1/nodes, and PATCH of a node's extra, as Ironic 21.4 does, and can
be told to misbehave.

    ironic = FakeIronic()                  # serves http://127.0.0.1:PORT from now on
    self.addCleanup(ironic.stop)
    ironic.url
    ironic.node(uuid, provision_state="active", owner="demo")   # adds or changes a node
    ironic.remove(uuid)
    ironic.require_basic("nmid", "secret")                      # else 401, with Ironic's body
    ironic.require_token(lambda token: token == "x")            # the same for X-Auth-Token
    ironic.requests                        # what came: Request(path, headers, status)
    ironic.count("/v1/nodes/")             # how many of whose path holds this
    ironic.patches                         # what was done: Patch(uuid, path, value)
    ironic.nodes[uuid]["extra"]
    ironic.fault("status=500"); ironic.clear()
    ironic.down(); ironic.up()             # nobody listens; again, on the same port

A fault applies to all requests whose path holds its second argument, until clear():

  status=N    answers N with an error in Ironic's form
  hold        answers as ever, but not before clear()
  hang        never answers (until the client leaves or the server stops)
  close       closes the connection without an answer
  garbage     200 and what is no JSON
  html        404 and a page of HTML, as a proxy's
  huge        200 and 16 MiB
  endless     (lists) every page is the same, and has a next one
  redirect    302 to somewhere else
  lost        (PATCH) does what is asked, and closes the connection without an answer
  old         406, as a release that is too old for the version asked for
"""
import base64
import collections
import contextlib
import json
import socket
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Request = collections.namedtuple("Request", "path headers status")
Patch = collections.namedtuple("Patch", "uuid path value")
FIELDS = {"provision_state": "active", "instance_uuid": None, "owner": None, "lessee": None,
          "reservation": None}
VERSION = "X-OpenStack-Ironic-API-Version"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.server.fake.connections.add(self.connection)

    def finish(self):
        self.server.fake.connections.discard(self.connection)
        super().finish()

    def do_GET(self):
        self.serve(None)

    def do_PATCH(self):
        self.serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def serve(self, patch):
        fake = self.server.fake
        status, body = fake.misdeed(self, patch) or fake.answer(self, patch)
        if status is None:
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        with fake.lock:
            fake.requests.append(Request(self.path, dict(self.headers), status))
        try:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/v1/nodes")
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="Baremetal API"')
            self.send_header("Content-Type", "application/json")
            for name, value in (("Minimum", "1.1"), ("Maximum", "1.82")):
                self.send_header(f"X-OpenStack-Ironic-API-{name}-Version", value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        except OSError:
            self.close_connection = True


def error(message, code="Client"):
    """A string that holds JSON."""
    return {"error_message": json.dumps({"faultcode": code, "faultstring": message,
                                         "debuginfo": None})}


class FakeIronic:
    def __init__(self, max_limit=1000):
        self.lock, self.nodes, self.requests, self.patches = threading.Lock(), {}, [], []
        self.faults, self.max_limit, self.port = [], max_limit, 0
        self.basic = self.token = None
        self.connections = set()
        self.stopping = threading.Event()
        self.server = None
        self.up()

    # ---- its life ----

    def up(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads, self.server.fake = True, self
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server = None

    def stop(self):
        self.stopping.set()
        self.down()

    # ---- what it knows ----

    def node(self, node_uuid, **fields):
        with self.lock:
            node = self.nodes.setdefault(node_uuid, {"uuid": node_uuid, "extra": {}, **FIELDS})
            node.update(fields)

    def remove(self, node_uuid):
        with self.lock:
            del self.nodes[node_uuid]

    def require_basic(self, name, password):
        self.basic = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()

    def require_token(self, is_good):
        self.token = is_good

    def count(self, part=""):
        with self.lock:
            return sum(part in request.path for request in self.requests)

    # ---- what it does ----

    def fault(self, what, part=""):
        self.faults = [*self.faults, (what, part)]

    def clear(self):
        self.faults = []

    def misdeed(self, handler, patch=None):
        for what, part in self.faults:
            if part not in handler.path:
                continue
            if what.startswith("status="):
                status = int(what.removeprefix("status="))
                return status, error("It went wrong.", "Server" if status >= 500 else "Client")
            while what == "hold" and (what, part) in self.faults:
                if self.stopping.wait(0.01):
                    break
            if what == "lost" and patch is not None:
                self.answer(handler, patch)
            if what in ("hang", "close", "lost"):
                with self.lock:
                    self.requests.append(Request(handler.path, dict(handler.headers), 0))
                while what == "hang" and not self.stopping.wait(0.05):
                    if (what, part) not in self.faults:
                        break
                handler.close_connection = True
                return None, None
            if what == "endless" and "/v1/nodes?" in handler.path:
                page = [dict(node) for node in list(self.nodes.values())[:2]]
                return 200, {"nodes": page, "next": f"{self.url}/v1/nodes?marker=x"}
            answers = {"garbage": (200, b'{"uuid": '), "html": (404, b"<html>Not Found</html>"),
                       "huge": (200, b'{"nodes": [' + b" " * (16 << 20) + b"]}"),
                       "redirect": (302, {}),
                       "old": (406, error("Version 1.65 was requested but the minor version is not "
                                          "supported by this service. The supported version range "
                                          "is: [1.1, 1.49]."))}
            if what in answers:
                return answers[what]
        return None

    def answer(self, handler, patch=None):
        headers = handler.headers
        if self.basic and headers["Authorization"] != self.basic:
            why = ("Incorrect username or password" if headers["Authorization"] else
                   "Authorization required")
            return 401, {"error": {"message": why, "code": 401}}
        if self.token and not self.token(headers["X-Auth-Token"]):
            return 401, {"error": {"code": 401, "title": "Unauthorized", "message":
                                   "The request you have made requires authentication."}}
        url = urlsplit(handler.path)
        arguments = {key: values[-1] for key, values in parse_qs(url.query).items()}
        major, minor = headers[VERSION].split(".")
        assert (major, int(minor) >= 65) == ("1", True), headers[VERSION]
        with self.lock:
            if url.path == "/v1/nodes":
                return self.page(arguments)
            node = self.nodes.get(unquote(url.path.removeprefix("/v1/nodes/")))
            if node is None:
                return 404, error(f"Node {url.path.rsplit('/', 1)[1]} could not be found.")
            if patch is not None:
                return self.patched(node, patch)
            return 200, self.shown(node, arguments)

    def patched(self, node, patch):
        if node["reservation"]:
            return 409, error(f"Node {node['uuid']} is locked by host {node['reservation']}, "
                              "please retry after the current operation is completed.")
        for operation in patch:
            assert set(operation) == {"op", "path", "value"} and operation["op"] == "add", patch
            member, key = operation["path"].removeprefix("/").split("/")
            assert member == "extra", patch
            node["extra"][key] = operation["value"]
            self.patches.append(Patch(node["uuid"], operation["path"], operation["value"]))
        return 200, dict(node)

    def shown(self, node, arguments):
        links = [{"href": f"{self.url}{version}/nodes/{node['uuid']}", "rel": relation}
                 for version, relation in (("/v1", "self"), ("", "bookmark"))]
        return {**{key: node[key] for key in arguments["fields"].split(",")}, "links": links}

    def page(self, arguments):
        nodes = list(self.nodes.values())
        if "instance_uuid" in arguments:
            uuid.UUID(arguments["instance_uuid"])
            nodes = [n for n in nodes if n["instance_uuid"] == arguments["instance_uuid"]]
        if "marker" in arguments:
            uuids = [node["uuid"] for node in nodes]
            if arguments["marker"] not in uuids:
                return 404, error(f"Node {arguments['marker']} could not be found.")
            nodes = nodes[uuids.index(arguments["marker"]) + 1:]
        limit = min(int(arguments.get("limit", self.max_limit)), self.max_limit)
        page = nodes[:limit]
        answer = {"nodes": [self.shown(node, arguments) for node in page]}
        if page and len(page) == limit:
            answer["next"] = (f"{self.url}/v1/nodes?sort_key=id&sort_dir=asc&fields="
                              f"{arguments['fields']}&limit={limit}&marker={page[-1]['uuid']}")
        return 200, answer
