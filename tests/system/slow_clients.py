# SPDX-License-Identifier: GPL-3.0-or-later
"""Slow clients: connections from many addresses that send a byte of a request now and then, and come
again when they are cut.

    slow_clients.py PORT COUNT SERVER ADDRESS...

Says "ready" when as many have connected as are wanted, then a line a second: those that stand, and
how often they came in all. Ends by SIGTERM."""
import errno
import selectors
import socket
import sys
import time

port, count, server = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
addresses = sys.argv[4:]
BEGINS = (b"", b"GET /healthz HTTP/1.1\r\nX: ",
          b"POST /v2.1/servers/n0/action HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
selector = selectors.DefaultSelector()
came = 0
standing = set()


def come(number):
    global came
    client = socket.socket()
    client.setsockopt(socket.SOL_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    client.bind((addresses[number % len(addresses)], 0))
    client.setblocking(False)
    error = client.connect_ex((server, port))
    if error not in (0, errno.EINPROGRESS):
        client.close()
        return False
    selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE, number)
    standing.add(client)
    came += 1
    return True


def go(client, number):
    selector.unregister(client)
    standing.discard(client)
    client.close()
    return number


free = list(range(count))
told = dripped = time.monotonic()
ready = False
while True:
    free = [number for i, number in enumerate(free) if i >= 200 or not come(number)]
    if not free and not ready:
        ready = True
        print("ready", flush=True)
    for key, events in selector.select(0.01):
        if events & selectors.EVENT_WRITE:  # it is connected
            try:
                key.fileobj.send(BEGINS[key.data % 3])
            except OSError:
                pass
            selector.modify(key.fileobj, selectors.EVENT_READ, key.data)
            continue
        try:
            data = key.fileobj.recv(4096)
        except OSError:
            data = b""
        if not data:
            free.append(go(key.fileobj, key.data))
    now = time.monotonic()
    if now - dripped >= 0.5:
        dripped = now
        for client in list(standing):
            try:
                client.send(b"x")
            except OSError:
                pass
    if now - told >= 1:
        told = now
        print(f"{len(standing)} stand, {came} came", flush=True)
