# SPDX-License-Identifier: GPL-3.0-or-later
"""An HTTP proxy that stands for a bad network and for a gateway: it cuts connections, keeps answers
to itself, and gives answers of its own. What it does with each injection is its plan.

    cutter = Cutter(port_of_nmid, ["cut", "cut", "pass"])   # the last one holds for all that follow

| pass | the request and its answer go through |
| refuse | the connection is closed; nothing was passed on |
| cut | passed on, and both connections are closed at once |
| keep | passed on; its answer is awaited, and the connection closed instead |
| half | passed on; the connection ends within the first line of the answer |
| NNN | this status, by the proxy itself; nothing was passed on |
| late-NNN | passed on; its answer is awaited, and this status is told instead |
"""
import http.client
import http.server
import threading

TIMEOUT_S = 60


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT_S

    def log_message(self, *_):
        pass

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = "pass"
        if "inject_nmi" in self.path or b"inject_nmi" in body or b"trigger_crash_dump" in body:
            what = self.server.cutter.next()
        row = [self.command, self.path, what, None]
        self.server.cutter.rows.append(row)
        if what == "refuse":
            self.end()
            return
        if what.isdigit():
            self.tell(int(what))
            return
        try:
            upstream = self.forward(body)
            self.after(what, upstream, row)
        except OSError:  # nmid is down, or the client has gone
            self.end()

    def after(self, what, upstream, row):
        if what == "cut":
            upstream.close()
            self.end()
            return
        answer = upstream.getresponse()
        data = answer.read()
        upstream.close()
        row[3] = answer.status
        if what == "keep":
            self.end()
        elif what.startswith("late-"):
            self.tell(int(what.removeprefix("late-")))
        else:
            self.answer(answer, data, what == "half")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = relay

    def forward(self, body):
        """The request, as it came, on a connection of its own."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.cutter.target,
                                              timeout=TIMEOUT_S)
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for key, value in self.headers.items():
            if key.lower() not in ("connection", "keep-alive"):
                upstream.putheader(key, value)
        upstream.endheaders(body or None)
        return upstream

    def end(self):
        self.close_connection = True

    def tell(self, status):
        data = b"<html>the gateway has no answer</html>"
        self.send_response(status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self, answer, data, half):
        text = f"HTTP/1.1 {answer.status} {answer.reason}\r\n" + "".join(
            f"{key}: {value}\r\n" for key, value in answer.headers.items()
            if key.lower() not in ("connection", "transfer-encoding", "content-length"))
        if answer.status != 204:
            text += f"Content-Length: {len(data)}\r\n"
        whole = text.encode("latin-1") + b"\r\n" + (b"" if self.command == "HEAD" else data)
        if half:
            whole = whole[:8]  # a whole header less would be taken for the whole answer
            self.end()
        self.wfile.write(whole)


class Cutter:
    """Serves until close(). rows: [method, path, what was done, the status that came or None]."""

    def __init__(self, target, plan=("pass",)):
        self.target, self.plan, self.rows = target, list(plan), []
        self._lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.cutter, self.server.daemon_threads = self, True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self._thread.start()

    def next(self):
        with self._lock:
            return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def injections(self):
        """[(what was done with it, the status that nmid gave or None), ...]"""
        return [(row[2], row[3]) for row in self.rows if row[0] in ("PUT", "POST")]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
