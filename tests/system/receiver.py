#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver of callbacks that misbehaves on demand.

    receiver.py [--port PORT] [--cert FILE --key FILE]

Serves HTTP (HTTPS with a certificate) on 127.0.0.1 and prints "ready port=N". Each POST is a line
of JSON on stdout, before it is answered: path, headers (names in lower case), body, and "fault",
what is done with it. A PUT of one of these lines says how POSTs are answered from then on:

    status N           answers N (to begin with, 200)
    delay MS           answers 200 after so long
    hang               never answers
    close              closes the connection without an answer
    redirect URL       302
    endless            200 and a body that does not end
"""
import argparse
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
fault = ["status", "200"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

    def do_PUT(self):
        global fault
        fault = self.body().split()
        self.answer(200)

    def do_POST(self):
        name, *values = fault
        headers = {key.lower(): value for key, value in self.headers.items()}
        line = json.dumps({"path": self.path, "headers": headers, "body": self.body(),
                           "fault": " ".join([name, *values])})
        with lock:
            print(line, flush=True)
        if name == "hang":
            threading.Event().wait()
        elif name == "close":
            self.close_connection = True
        elif name == "delay":
            time.sleep(int(values[0]) / 1000)
            self.answer(200)
        elif name == "redirect":
            self.answer(302, values[0])
        elif name == "endless":
            self.endless()
        else:
            self.answer(int(values[0]))

    def answer(self, status, location=None):
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):  # whoever follows a 302 comes here
        self.do_POST()

    def endless(self):
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 4096)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some tests are about."""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    options = parser.parse_args()
    server = Server(("127.0.0.1", options.port), Handler)
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    print(f"ready port={server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
