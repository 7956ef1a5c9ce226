# SPDX-License-Identifier: GPL-3.0-or-later
"""A network namespace of a test's own, with clients at other addresses than loopback's: those of
127/8 and UNIX sockets are exempt from what nmid counts per address. It works without privileges
where the kernel lets users have namespaces; elsewhere the test is skipped (exit code 77).

    if __name__ == "__main__":
        netns.enter(("10.77.0.0/16", "fd77::1"))
        lab.main()

A client picks its address with bind(), http.client with source_address=("10.77.0.9", 0).
"""
import ipaddress
import os
import shutil
import subprocess
import sys

MARK = "NMID_TEST_NETNS"  # the namespace that was left, so that inside is told from outside
SKIP = 77


def _namespace():
    return os.readlink("/proc/self/ns/net")


def _which(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _setup(addresses):
    """What `ip -batch -` is told. A route of type local makes a whole IPv4 network the machine's
    own, to bind to and to listen on; IPv6 wants each address."""
    lines = ["link set lo up"]
    for text in addresses:
        network = ipaddress.ip_network(text, strict=False)
        if network.version == 4:
            lines.append(f"route add local {network} dev lo")
        elif network.num_addresses == 1:
            lines.append(f"addr add {network.network_address}/128 dev lo nodad")
        else:
            raise ValueError(f"{text}: IPv6 addresses are named one by one")
    return "\n".join(lines) + "\n"


def _skip(reason):
    print(f"skipped: no network namespace of its own: {reason}", file=sys.stderr)
    sys.exit(SKIP)


def _unshare(mounts):
    """unshare with the options that work here. Root keeps its users if it may: in a user namespace
    there is only one."""
    more = ["-m"] if mounts else []
    program = _which("unshare")
    if not program or not _which("ip"):
        _skip("unshare (util-linux) or ip (iproute2) is not installed")
    complaint = "refused"
    for options in (["-n"], ["-rn"]) if os.geteuid() == 0 else (["-rn"],):
        options = [*options, *more]
        probe = subprocess.run([program, *options, _which("ip"), "link", "set", "lo", "up"],
                               stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               check=False)
        if probe.returncode == 0:
            return [program, *options]
        complaint = (probe.stderr or complaint).strip().splitlines()[-1]
    return _skip(complaint)


def inside():
    """Has enter() done its work already?"""
    return MARK in os.environ


def enter(addresses=(), mounts=False):
    """Starts this program once more, in the place of this process, in a network namespace where
    loopback is up and has these addresses (IPv4 ones or networks, IPv6 ones); returns there. With
    mounts it has a mount namespace of its own as well."""
    if not inside():
        environment = {**os.environ, MARK: _namespace()}
        argv = [*_unshare(mounts), sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(argv[0], argv, environment)
    if os.environ[MARK] == _namespace():
        raise RuntimeError(f"{MARK} is set, and this is no other network namespace")
    if any(":" in text for text in addresses) and not os.path.exists("/proc/net/if_inet6"):
        _skip("IPv6 is off")
    subprocess.run([_which("ip"), "-batch", "-"], input=_setup(addresses), text=True, check=True)
