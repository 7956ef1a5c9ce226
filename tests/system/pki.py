# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates for tests, made when they are needed with the openssl program: nothing that expires
is in the repository.

    pki = Pki(directory)
    ca = pki.ca("site")                                   # ca.certificate
    web = pki.server("web", ["localhost", "127.0.0.1"], ca)   # web.certificate, web.key
    bob = pki.client("O=example,CN=bob", ca)
    pki.expired("CN=carol", ca); pki.future("CN=dave", ca)
    pki.intermediate("between", ca)                       # signs as a CA does; leaves carry it along
    crl = pki.crl(ca, revoked=[bob])

All paths are str, of PEM files. Keys are ECDSA P-256 (quick to make) with mode 0600, if not told
otherwise: key="rsa:2048", "ec:P-384" ...
A subject is what RFC 4514 writes, most special part first ("CN=bob,O=example"), without escapes;
"bob" alone is "CN=bob". Only the standard library and openssl.
"""
import datetime
import ipaddress
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import lab

LEAF = "basicConstraints = critical,CA:FALSE\nsubjectKeyIdentifier = hash\n" \
       "authorityKeyIdentifier = keyid\nkeyUsage = critical,digitalSignature\n"
AUTHORITY = "basicConstraints = critical,CA:TRUE\nsubjectKeyIdentifier = hash\n" \
            "keyUsage = critical,keyCertSign,cRLSign\n"
# How `openssl ca` signs. Any subject may be signed any number of times.
CONFIG = """[ca]
default_ca = here
[here]
dir = {dir}
database = $dir/index
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir/issued
certificate = {certificate}
private_key = {key}
default_md = {digest}
default_days = 30
default_crl_days = 30
policy = any
unique_subject = no
email_in_dn = no
[any]
commonName = optional
organizationName = optional
organizationalUnitName = optional
countryName = optional
domainComponent = optional
userId = optional
"""


class Issued:
    """A certificate, its key, and who signed it (None: itself). `certificate` begins with its own
    and goes on with those between it and the root."""

    def __init__(self, certificate, key, ca):
        self.certificate, self.key, self.ca = str(certificate), str(key), ca


def openssl(*argv, stdin=None):
    """Runs openssl; its output."""
    done = subprocess.run(["openssl", *map(str, argv)], input=stdin, capture_output=True,
                          check=False, timeout=120)
    if done.returncode != 0:
        raise AssertionError(f"openssl {argv[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode(errors="replace")


def _when(days):
    """So many days from now (a float; negative: ago), as `openssl ca` takes it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


def _slashes(subject):
    """"CN=bob,O=example" as openssl takes it: "/O=example/CN=bob"."""
    parts = subject.split(",") if "=" in subject else [f"CN={subject}"]
    return "".join(f"/{part.strip()}" for part in reversed(parts))


class Pki:
    """All of a test's certificates, in one directory."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._count = 0

    def _new(self, hint):
        """A path without an ending, which no other certificate has."""
        self._count += 1
        plain = "".join(c if c.isalnum() else "_" for c in hint)[:32]
        return self.directory / f"{self._count}-{plain}"

    def key(self, path, kind="ec:P-256", passphrase=None):
        """A new private key at path, mode 0600; kind is "ec:CURVE", "rsa:BITS" or "ed25519"."""
        name, _, value = kind.partition(":")
        argv = ["genpkey", "-out", path, "-algorithm", name]
        if value:
            option = "rsa_keygen_bits" if name == "rsa" else "ec_paramgen_curve"
            argv += ["-pkeyopt", f"{option}:{value}"]
        if passphrase is not None:
            argv += ["-aes-256-cbc", "-pass", f"pass:{passphrase}"]
        before = os.umask(0o077)
        try:
            openssl(*argv)
        finally:
            os.umask(before)
        os.chmod(path, 0o600)
        return str(path)

    def signs(self, name, certificate, key, ca, digest="sha256"):
        """Has whoever holds this key sign, whether or not the certificate says that it may."""
        base = self._new(f"{name}-ca")
        (base / "issued").mkdir(parents=True)
        (base / "index").write_text("")
        (base / "serial").write_text("1000\n")
        (base / "crlnumber").write_text("01\n")
        config = base / "config"
        config.write_text(CONFIG.format(dir=base, certificate=certificate, key=key, digest=digest))
        result = Issued(certificate, key, ca)
        result.name, result.config = name, config
        return result

    def ca(self, name, key="ec:P-256", digest="sha256", days=90):
        """A root that signs itself. What it signs, it signs with this digest."""
        base = self._new(name)
        extensions = Path(f"{base}.cnf")
        extensions.write_text(f"[req]\ndistinguished_name = dn\n[dn]\n[root]\n{AUTHORITY}")
        self.key(f"{base}.key", key)
        openssl("req", "-x509", "-new", "-key", f"{base}.key", "-out", f"{base}.pem", "-days", days,
                "-subj", _slashes(name), f"-{digest}", "-config", extensions,
                "-extensions", "root")
        return self.signs(name, f"{base}.pem", f"{base}.key", None, digest)

    def sign(self, subject, ca, extensions, key="ec:P-256", start=-1, end=60):
        """A certificate with these lines of extensions, valid from start to end, in days from now."""
        base = self._new(subject)
        self.key(f"{base}.key", key)
        Path(f"{base}.ext").write_text(extensions)
        Path(f"{base}.cnf").write_text("[req]\ndistinguished_name = dn\n[dn]\n")
        openssl("req", "-new", "-key", f"{base}.key", "-out", f"{base}.csr", "-utf8",
                "-subj", _slashes(subject), "-config", f"{base}.cnf")
        openssl("ca", "-batch", "-notext", "-preserveDN", "-utf8", "-config", ca.config,
                "-in", f"{base}.csr", "-out", f"{base}.pem", "-extfile", f"{base}.ext",
                "-startdate", _when(start), "-enddate", _when(end))
        if ca.ca is not None:  # an intermediate, and what is above it but the root
            with open(f"{base}.pem", "a", encoding="ascii") as chain:
                chain.write(Path(ca.certificate).read_text(encoding="ascii"))
        return Issued(f"{base}.pem", f"{base}.key", ca)

    def intermediate(self, name, ca, key="ec:P-256", digest="sha256"):
        """A CA below another."""
        made = self.sign(name, ca, AUTHORITY, key)
        return self.signs(name, made.certificate, made.key, ca, digest)

    def server(self, name, names, ca, **options):
        """For a server that is reached by these names and numeric addresses."""
        return self.sign(name, ca, server_extensions(names), **options)

    def client(self, subject, ca, **options):
        return self.sign(subject, ca, f"{LEAF}extendedKeyUsage = clientAuth\n", **options)

    def expired(self, subject, ca, names=None, **options):
        """A client's certificate (with names: a server's) that ended an hour ago."""
        return self._dated(subject, ca, names, start=-10, end=-1 / 24, **options)

    def future(self, subject, ca, names=None, **options):
        """The same that begins tomorrow."""
        return self._dated(subject, ca, names, start=1, end=60, **options)

    def _dated(self, subject, ca, names, **options):
        if names is not None:
            return self.server(subject, names, ca, **options)
        return self.client(subject, ca, **options)

    def crl(self, ca, revoked=(), days=30):
        """A list of what this CA takes back: `revoked`, and what earlier calls named. days as small
        as a fraction; negative: the list itself is out of date."""
        for issued in revoked:
            openssl("ca", "-batch", "-config", ca.config, "-revoke", issued.certificate)
        path = f"{self._new(f'{ca.name}-crl')}.pem"
        window = ["-crl_lastupdate", _when(min(days - 1, -1)), "-crl_nextupdate", _when(days)]
        openssl("ca", "-batch", "-config", ca.config, "-gencrl", *window, "-out", path)
        return path


def server_extensions(names):
    """The lines of a server's certificate."""
    plain = []
    for name in names:
        try:
            plain.append(f"IP:{ipaddress.ip_address(name)}")
        except ValueError:
            plain.append(f"DNS:{name}")
    return f"{LEAF}extendedKeyUsage = serverAuth\nsubjectAltName = {','.join(plain)}\n"


def require_tls():
    """For a test's start: skips it (exit code 77) when this nmid was built without TLS."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write('listen = ( { address = "127.0.0.1"; tls = { certificate_file = "/"; '
                   'key_file = "/"; }; } );\n')
        conf.flush()
        done = subprocess.run([lab.built("nmid"), "-t", "-c", conf.name], capture_output=True,
                              stdin=subprocess.DEVNULL, check=False, timeout=60)
    if b"without GnuTLS" in done.stderr:
        print("skipped: this nmid was built without TLS", file=sys.stderr)
        sys.exit(77)
