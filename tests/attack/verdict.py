# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attack has shown: each thing that is not as it must be, as a line; and the table."""
import asyncio
import dataclasses
import signal
import time

import lab
import target
import watch
import wire

# Each is attacked, so each counts. "idle_s" by slow readers.
LIMITS = ("connections", "connections_per_address", "url_bytes", "header_bytes", "token_bytes",
          "body_bytes", "request_s", "idle_s", "requests_per_principal", "actions_per_minute",
          "login_failures_per_address", "login_failures_per_user")
STOP_S = 15        # from SIGTERM to the end, on a loaded machine
LINES_S = 2 * 101  # refusals that are logged in a second: of those who are known, and of others
KEPT = 64          # connections to servers that nmid keeps open between questions, at most
DATABASE_ROW = 2048  # bytes an action or a record takes at most, on average, its indexes included


@dataclasses.dataclass
class Evidence:
    siege: object
    start: dict
    heard: list
    peak: dict
    seconds: float


def violations(evidence):
    """All that is wrong; [] is what make check-attack wants."""
    siege = evidence.siege
    metrics = siege.target.metrics()
    found = [f"attack: {text}" for text in siege.broken]
    found += felt(siege) + client(evidence) + once(evidence, metrics)
    found += host(evidence) + told(evidence)
    missing = [name for name in LIMITS if not metrics.limits.get(name)]
    if missing:
        found.append(f"limits that were attacked and have counted nothing: {', '.join(missing)}")
    for kind, most in (("tcp", 0), ("unix", 1)):  # the one that asks
        now = metrics.value(f'nmid_connections{{socket="{kind}"}}')
        if now is None or now > most:
            found.append(f"nmid_connections of {kind} is {now} when all have left")
    evidence.metrics = metrics
    return found


def felt(siege):
    """An attack that did not take place proves nothing."""
    options, met, found = siege.options, siege.met, []
    least = {"bad log-in": options.logins * 0.9, "garbage token": options.logins * 0.9,
             "flood": options.requests * 0.9, "slow head": options.slow / 3,
             "slow body": options.slow / 3, "slow chunk": options.slow / 3,
             "vanished": options.vanish * options.rounds / 3, "idle": 1, "slow reader": 1,
             "crowd": 1, "batch": 2, "long poll": options.polls, "spoofed datagram": 100,
             "rubbish": 5, "connect and leave": 10, "left before the answer": 5, "1 MB token": 1,
             "endless header lines": 1, "two lengths": 1,
             **({"handshake": 1, "half a ClientHello": 1, "slow handshake": 1}
                if options.tls else {})}
    for what, count in least.items():
        if sum(met[what].values()) < count:
            found.append(f"too few for an attack: {what}: {dict(met[what])}, not {count:.0f}")
    if "was not reloaded" in siege.nmid.log():
        found.append("a reload failed")
    return found


def client(evidence):
    """Everything the well-behaved client asked for was delivered."""
    found = []
    for caller in evidence.heard:
        least = 0.95 * caller["seconds"] * evidence.siege.target.rates[caller["name"]]
        if caller["asked"] < least:
            found.append(f"{caller['name']} could ask {caller['asked']} times, not {least:.0f}")
        if caller["failed"]:
            found.append(f"{caller['name']}: {caller['failed']} of {caller['asked']} failed, "
                         f"such as {caller['failures'][:5]}")
    return found


def once(evidence, metrics):
    """What the BMCs executed is what the client was told, machine by machine; and in all, what
    nmid says that it delivered."""
    siege, found = evidence.siege, []
    counts = siege.target.sim.control("counts")
    delivered = {uuid: n for caller in evidence.heard for uuid, n in caller["delivered"].items()}
    for name in siege.target.rates:
        for node in siege.target.nodes[name]:
            count = counts[node["driver_info"]["ipmi_address"]]
            told_count = delivered.get(node["uuid"], 0)
            if not count["nmi"] == count["control_4"] == told_count:
                found.append(f"{node['name']}: told {told_count} times, "
                             f"asked {count['control_4']}, executed {count['nmi']}")
    executed = siege.target.sim.control("total")["sum"]["nmi"]
    name = "nmid_actions_finished_total"
    sure = metrics.value(f'{name}{{outcome="delivered"}}')
    unknown = metrics.value(f'{name}{{outcome="unknown"}}')
    if not sure <= executed <= sure + unknown:
        found.append(f"{executed} executed in all, {sure} delivered, {unknown} unknown")
    return found[:20]


def warm_up(rows, options):
    """The round at whose end memory is to be flat. Until the client comes to its first node again
    each injection is of a node that nmid has to remember, for its hold-off; a short attack ends
    before."""
    elapsed = 0
    for number, row in enumerate(rows[:-1]):
        elapsed += row["seconds"]
        if elapsed >= options.cycle_s:
            return number
    return 0


def memory(siege):
    """What of the heap is in use is what it was at the end of the warm-up, and so is the most that
    the process has in a round. (Of pages that are in use in part nothing can be given back: what it
    has when all have left comes nearer to that most, round by round.) A sanitizer's heap does not
    tell what is in use: there it is what the process has."""
    rows, options, found = siege.rows, siege.options, []
    warm = warm_up(rows, options)
    key = "used_kb" if rows[-1]["used_kb"] > 0 else "memory_kb"
    growth = rows[-1][key] - rows[warm][key]
    if growth > options.growth_kb:
        found.append(f"{key} grew by {growth} from round {warm + 1} to round {len(rows)}")
    if key == "memory_kb":
        return found
    before, after = (max(row["peak_kb"] for row in part)
                     for part in (rows[:warm + 1], rows[warm + 1:]))
    if after > before + options.peak_growth_kb:
        found.append(f"the most memory in a round grew from {before} kB to {after} kB")
    return found


def host(evidence):
    """Memory, descriptors and threads are what they were."""
    siege, options = evidence.siege, evidence.siege.options
    found = memory(siege)
    patience = options.idle_s + options.request_s + 90
    # The sockets to BMCs, IPv4 and IPv6, are opened with the first action. Connections to Keystone
    # are kept, as many as there were questions at a time, but no more than KEPT.
    port = siege.target.keystone_port
    most = evidence.start["descriptors"] + 2
    now = wait(lambda: lab.descriptors(siege.pid) - watch.kept(port), most, patience)
    if now > most or watch.kept(port) > KEPT:
        found.append(f"{now} descriptors and {watch.kept(port)} connections to Keystone, "
                     f"{evidence.start['descriptors']} at the start: {watch.kinds(siege.pid)}")
    threads = siege.rows[0]["threads"]
    now = wait(lambda: watch.threads(siege.pid), threads, 10)
    if now > threads:
        found.append(f"{now} threads, {threads} after the first round")
    return found


def wait(read, most, seconds):
    """What read() says when it is no more than `most`, or after so many seconds."""
    end = time.monotonic() + seconds
    while read() > most and time.monotonic() < end:
        time.sleep(0.1)
    return read()


def told(evidence):
    """Nothing in the log, the database and the answers that was to be kept; and not too much."""
    siege, options, found = evidence.siege, evidence.siege.options, []
    secrets = [text.encode() for text in (*target.SECRETS, siege.target.token)]
    log = siege.nmid.log()
    places = {"the log": log.encode(errors="replace"),
              "the audit": siege.target.ask("GET", "/agent/v1/audit?limit=1000"),
              "the history": siege.target.ask("GET", "/agent/v1/actions?limit=1000"),
              "the nodes": siege.target.ask("GET", "/agent/v1/nodes/basic-0")}
    places.update({path.name: path.read_bytes() for path in siege.nmid.state_dir.iterdir()
                   if path.is_file()})
    for name, text in places.items():
        found += [f"{name}: {secret.decode()} is in it" for secret in secrets if secret in text]
    actions = siege.target.sim.control("total")["sum"]["nmi"] + \
        siege.met["batch"]["202"] * options.hostile_nodes
    lines, most = log.count("\n"), int(LINES_S * evidence.seconds + 4 * actions +
                                       10 * siege.reloads + 1000)
    if lines > most:
        found.append(f"{lines} lines of log in {evidence.seconds:.0f} s, more than {most}")
    size = sum(path.stat().st_size for path in siege.nmid.state_dir.iterdir() if path.is_file())
    # Actions that were allowed are kept as often as other records.
    most = DATABASE_ROW * (options.history + 2 * options.audit) + (8 << 20)
    if size > most:
        found.append(f"the database has {size} bytes, more than {most}")
    evidence.size, evidence.lines = size, lines
    return found


# ---- The end ----

def stop_under_attack(siege):
    """SIGTERM with slow clients and long polls at the door: it ends within seconds, with 0."""
    places = [wire.Place(target.ADDRESS, port) for port in siege.target.ports.values()]

    async def besiege():
        loop, socks = asyncio.get_running_loop(), []
        poll = wire.request("GET", "/agent/v1/actions?limit=1000",
                            wire.basic("walter", target.WORDS["walter"]))
        for number in range(60):
            try:
                sock = await places[number % len(places)].connect(f"10.77.2.{1 + number}",
                                                                  receive=2048)
                socks.append(sock)
                await loop.sock_sendall(sock, (b"GET / HT", b"", poll)[number % 3])
            except OSError:
                continue  # cut, since there are too many: not what is tried here
        began = time.monotonic()
        siege.nmid.process.send_signal(signal.SIGTERM)
        while siege.nmid.process.poll() is None and time.monotonic() - began < STOP_S:
            await asyncio.sleep(0.05)
        seconds = time.monotonic() - began
        for sock in socks:
            sock.close()
        return seconds
    seconds = asyncio.run(besiege())
    siege.stop_s = seconds
    if siege.nmid.process.poll() is None:
        return [f"nmid did not end within {STOP_S} s of SIGTERM"]
    if siege.nmid.process.returncode != 0:
        return [f"nmid ended with {siege.nmid.process.returncode}"]
    return [] if not lab.SANITIZER.search(siege.nmid.log()) else ["a sanitizer complained"]


# ---- The table ----

def show(evidence, found):
    siege = evidence.siege
    print("\nround seconds requests   /s  cpu no-cpu  heap in use kB  private kB  at most kB  "
          "descriptors threads")
    for row in siege.rows:
        print("{round:5} {seconds:7} {requests:8} {per_s:4} {cpu:4} {no_cpu:6} {used_kb:15} "
              "{memory_kb:11} {peak_kb:11} {descriptors:12} {threads:7}".format(**row))
    print(f"peak: {evidence.peak['memory_kb']} kB, {evidence.peak['descriptors']} descriptors, "
          f"{evidence.peak['threads']} threads")
    print("\nwell-behaved   asked delivered failed   ms: 50 %    95 %    99 %     max")
    for caller in evidence.heard:
        times = [caller["ms"].get(key, 0) for key in ("50", "95", "99", "max")]
        print(f"{caller['name']:12} {caller['asked']:7} {sum(caller['delivered'].values()):9} "
              f"{caller['failed']:6}        " + " ".join(f"{value:7}" for value in times))
    print("\nattackers met")
    for what, statuses in sorted(siege.met.items()):
        print(f"  {what:38} " + ", ".join(f"{status}: {count}" for status, count in
                                          sorted(statuses.items())))
    print("\nlimits reached: " + ", ".join(f"{name} {count}" for name, count in
                                           evidence.metrics.limits.items()))
    print(f"{siege.sent} requests of attackers, {siege.reloads} reloads, {evidence.lines} lines of "
          f"log, {evidence.size} bytes of database, {evidence.seconds:.0f} s; "
          f"ended {siege.stop_s:.1f} s after SIGTERM: {len(found)} violations")
    print(*(f"VIOLATION {text}" for text in found), sep="\n", end="\n" if found else "", flush=True)
