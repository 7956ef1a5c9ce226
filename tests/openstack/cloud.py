#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small cloud on loopback: a real Keystone with people in it, and a real Ironic, both Debian's.

    with Cloud(directory) as cloud:
        token = cloud.token("alice", project="demo")
        ironic = cloud.ironic("keystone")

Everything is below the directory, which must be absent or empty; what was started ends with the
cloud, by its id. Run as a program it starts one, says how to reach it, and waits for Control-C:

    python3 tests/openstack/cloud.py [--ironic none|http_basic|keystone] DIRECTORY
"""
import argparse
import os
import signal
import sys
import time
import uuid
from pathlib import Path

from ironic_service import Ironic
from service import Port, Service, lab, make_wal, run, write_conf

PACKAGES = {
    "/usr/bin/keystone-manage": "keystone",
    "/usr/bin/uwsgi": "uwsgi-core",
    "/usr/lib/uwsgi/plugins/python3_plugin.so": "uwsgi-plugin-python3",
    "/usr/bin/ironic": "ironic-conductor",
    "/usr/bin/ironic-api": "ironic-api",
    "/usr/lib/python3/dist-packages/oslotest": "python3-oslotest",
    "/usr/lib/python3/dist-packages/pip": "python3-pip",
    "/usr/lib/python3/dist-packages/setuptools": "python3-setuptools",
    "/usr/lib/python3/dist-packages/wheel": "python3-wheel",
    "/usr/bin/baremetal": "python3-ironicclient",
    "/usr/bin/openstack": "python3-openstackclient",
    "/usr/bin/nova": "python3-novaclient",
    "/usr/lib/python3/dist-packages/nova": "python3-nova",
    "/usr/lib/python3/dist-packages/keystoneauth1": "python3-keystoneauth1",
    "/usr/lib/python3/dist-packages/keystoneclient": "python3-keystoneclient",
    "/usr/lib/python3/dist-packages/openstack": "python3-openstacksdk",
    "/usr/bin/htpasswd": "apache2-utils",
}

# Who there is: user -> (project, role) pairs; "all" is the whole system.
PEOPLE = {
    "alice": [("demo", "member")],
    "rita": [("demo", "reader")],
    "anna": [("demo", "admin")],  # an administrator, by a project that is not the cloud's
    "vera": [("demo", "visitor")],  # a role that nmid's policy does not know
    "bob": [("other", "member")],
    "lea": [("lessee", "member")],
    "sysadmin": [("all", "admin")],
    "sysmember": [("all", "member")],
    "sysreader": [("all", "reader")],
    "nobody": [],
    "nmid": [("service", "service")],
    "ironic": [("service", "service"), ("service", "admin")],
}
PROJECTS = ("demo", "other", "lessee", "service")

MISSING = ("OpenStack's tests need these packages of Debian 12: {}\n"
           "(./bootstrap check-openstack installs them)")


def missing_packages():
    return sorted({package for path, package in PACKAGES.items() if not os.path.exists(path)})


class Keystone(Service):
    """One Keystone process; another one on the same database and keys has another expiration."""

    # for manage(): whose the keys are
    mine = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))

    def __init__(self, directory, port, expiration_s, name="keystone"):
        self.port, self.url = port, port.url + "/v3"
        self.conf = directory / f"{name}.conf"
        write_conf(self.conf, {
            "DEFAULT": {"debug": "false"},
            "database": {"connection": f"sqlite:///{directory}/keystone.db?timeout=30",
                         "sqlite_synchronous": "false"},
            "cache": {"enabled": "true", "backend": "dogpile.cache.memory"},
            "token": {"provider": "fernet", "expiration": expiration_s},
            "fernet_tokens": {"key_repository": directory / "fernet-keys"},
            "fernet_receipts": {"key_repository": directory / "receipt-keys"},
            "credential": {"key_repository": directory / "credential-keys"},
            "identity": {"password_hash_rounds": 4},
            "oslo_policy": {"policy_file": directory / "keystone-policy.yaml",
                            "policy_dirs": directory / "keystone-policy.d"},
        })
        # One process: the memory cache is its own, and a revocation must be seen by all of it.
        # Bodies are read before they are needed, and a connection that is closed is said to be:
        # otherwise clients see a reset now and then.
        super().__init__(name, directory, [
            "/usr/bin/uwsgi", "--http-socket", f"127.0.0.1:{port.number}", "--plugin", "python3",
            "--wsgi-file", "/usr/bin/keystone-wsgi-public", "--need-app", "--threads", "8",
            "--buffer-size", "65535", "--post-buffering", "65536", "--add-header",
            "Connection: close", "--die-on-term"],
            lambda: port.answers("/v3"), env={"OS_KEYSTONE_CONFIG_FILES": str(self.conf)})

    def asked(self, request):
        """How often it has been asked this ("GET /v3/auth/tokens"), by its own log, which comes a
        moment after the answer: so it is asked something that ends the log first."""
        end = f"/v3?{uuid.uuid4()}"
        self.port.answers(end)
        lab.wait_for(lambda: end in self.process.err(), 20, "Keystone to log a request")
        return sum(each.err().count(request) for each in self.runs)

    def manage(self, *words, **env):
        return run(["/usr/bin/keystone-manage", "--config-file", self.conf, *words], env=env,
                   cwd=self.directory)


class Rest:
    """JSON over a keystoneauth1 adapter; what is no 2xx is an error with all that came."""

    def __init__(self, adapter):
        self.adapter = adapter

    def _call(self, method, path, body=None):
        options = {} if body is None else {"json": body}
        answer = self.adapter.request(path, method, raise_exc=False, **options)
        if not answer.ok:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def get(self, path):
        return self._call("GET", path)

    def post(self, path, body):
        return self._call("POST", path, body)

    def put(self, path, body):
        return self._call("PUT", path, body)

    def patch(self, path, body):
        return self._call("PATCH", path, body)

    def delete(self, path):
        return self._call("DELETE", path)


class Cloud:
    """Keystone with its people; and the Ironics that are asked for."""

    def __init__(self, directory, expiration_s=3600):
        if missing_packages():
            raise SystemExit(MISSING.format(" ".join(missing_packages())))
        self.directory = Path(directory).resolve()
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if list(self.directory.iterdir()):
            raise SystemExit(f"{self.directory} is not empty")
        self.services, self.projects, self.users, self.secrets = [], {}, {}, {}
        self.keystone = Keystone(self.directory, Port(), expiration_s)
        self.services.append(self.keystone)

    def __enter__(self):
        try:
            self._start_keystone()
            self._people()
        except BaseException:
            self.print_logs()
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Once more does nothing."""
        while self.services:
            service = self.services.pop()
            service.stop()
            service.port.holder.close()

    def print_logs(self, last=8000, file=sys.stderr):
        for service in self.services:
            for path in service.logs():
                text = path.read_text(errors="backslashreplace")
                if text:
                    print(f"--- {path}\n{text[-last:]}", file=file)

    def _start_keystone(self):
        make_wal(self.directory / "keystone.db")
        self.keystone.manage("db_sync")
        self.keystone.manage("fernet_setup", *self.keystone.mine)
        self.keystone.manage("credential_setup", *self.keystone.mine)
        url = self.keystone.url
        self.keystone.manage("bootstrap", "--bootstrap-region-id", "lab",
                             *(word for kind in ("admin", "internal", "public")
                               for word in (f"--bootstrap-{kind}-url", url)),
                             OS_BOOTSTRAP_PASSWORD=self.password("admin"))
        self.keystone.start().wait_ready()

    def _people(self):
        api = self.api()
        roles = {role.name: role for role in api.roles.list()}
        self.projects = {project.name: project.id for project in api.projects.list()}
        for name in PROJECTS:
            self.projects[name] = api.projects.create(name, "default").id
        for user, grants in PEOPLE.items():
            made = api.users.create(user, domain="default", password=self.password(user))
            self.users[user] = made.id
            for project, role in grants:
                if role not in roles:
                    roles[role] = api.roles.create(role)
                where = ({"system": "all"} if project == "all" else
                         {"project": self.projects[project]})
                api.roles.grant(roles[role], user=made, **where)
        service = api.services.create("ironic", "baremetal")
        self.baremetal = service.id

    # -- keystoneauth1 and keystoneclient

    @staticmethod
    def password(user):
        return f"{user}'s pass:wörd"

    def plugin(self, user, project=None, system=False, password=None, **options):
        """How a user logs in. Neither project nor system: a token without a scope."""
        from keystoneauth1.identity import v3
        scope = {}
        if project:
            scope = {"project_name": project, "project_domain_id": "default"}
        elif system:
            scope = {"system_scope": "all"}
        else:
            scope = {"unscoped": True}
        return v3.Password(options.pop("auth_url", self.keystone.url), username=user,
                           user_domain_id="default", password=password or self.password(user),
                           **scope, **options)

    @staticmethod
    def session(plugin):
        from keystoneauth1 import session
        return session.Session(plugin, timeout=60)

    def api(self, user="admin", project="admin", **options):
        """keystoneclient for this user."""
        from keystoneclient.v3 import client
        return client.Client(session=self.session(self.plugin(user, project, **options)),
                             endpoint_override=self.keystone.url)

    def token(self, user, project=None, **options):
        """A new token, from the real Keystone by the real client."""
        return self.session(self.plugin(user, project, **options)).get_token()

    def access(self, user, project=None, **options):
        """The same with all about it: keystoneauth1's AccessInfo (auth_token, expires ...)."""
        session = self.session(self.plugin(user, project, **options))
        return session.auth.get_access(session)

    def revoke(self, token):
        self.api().tokens.revoke_token(token)

    def is_valid(self, token):
        """What Keystone itself says."""
        from keystoneauth1 import exceptions
        try:
            return bool(self.api().tokens.validate(token))
        except exceptions.NotFound:
            return False

    def application_credential(self, user, project, name, **options):
        """-> keystoneclient's (id, secret ...); roles=[...], access_rules=[...], unrestricted."""
        return self.api(user, project).application_credentials.create(
            name, user=self.users[user], **options)

    def credential_token(self, credential):
        from keystoneauth1.identity import v3
        return self.session(v3.ApplicationCredential(
            self.keystone.url, application_credential_id=credential.id,
            application_credential_secret=credential.secret)).get_token()

    def short_keystone(self, expiration_s):
        """A second Keystone on the same users, whose tokens live shortly. What it issues is valid
        at the first too, until then."""
        service = Keystone(self.directory, Port(), expiration_s,
                           f"keystone-{expiration_s}s-{len(self.services)}")
        self.services.append(service)
        return service.start().wait_ready()

    def rest(self, url, headers, who=None, project=None, system=False, basic=None):
        from keystoneauth1 import adapter, http_basic, noauth
        if who:
            plugin = self.plugin(who, project, system)
        elif basic:
            plugin = http_basic.HTTPBasicAuth(endpoint=url, username=basic[0], password=basic[1])
        else:
            plugin = noauth.NoAuth(endpoint=url)
        return Rest(adapter.Adapter(self.session(plugin), endpoint_override=url,
                                    additional_headers=headers))

    def openrc(self, user, project=None, system=False):
        """The OS_* variables of an openrc, as a dict."""
        scope = {"OS_PROJECT_NAME": project, "OS_PROJECT_DOMAIN_NAME": "Default"} if project else {}
        if system:
            scope = {"OS_SYSTEM_SCOPE": "all"}
        return {"OS_AUTH_URL": self.keystone.url, "OS_IDENTITY_API_VERSION": "3",
                "OS_USERNAME": user, "OS_USER_DOMAIN_NAME": "Default",
                "OS_PASSWORD": self.password(user), **scope}

    def credential_openrc(self, credential):
        return {"OS_AUTH_URL": self.keystone.url, "OS_IDENTITY_API_VERSION": "3",
                "OS_AUTH_TYPE": "v3applicationcredential",
                "OS_APPLICATION_CREDENTIAL_ID": credential.id,
                "OS_APPLICATION_CREDENTIAL_SECRET": credential.secret}

    def nmid_login(self, user="nmid"):
        """The keys of nmid's auth = { strategy = "keystone"; } for a log-in by password."""
        return {"auth_url": self.keystone.url, "username": user, "user_domain_name": "Default",
                "password": self.password(user), "project_name": "service",
                "project_domain_name": "Default"}

    def ironic(self, auth="none"):
        """Starts an Ironic whose API asks for: "none", "http_basic" or "keystone" credentials."""
        service = Ironic(self, auth, f"ironic-{auth}-{len(self.services)}")
        service.create_database()
        self.services.append(service)
        service.start().wait_ready()
        if auth == "keystone":
            self.api().endpoints.create(self.baremetal, service.url, "public", "lab")
        return service


def shell(variables):
    quoted = {key: "'" + value.replace("'", "'\\''") + "'" for key, value in variables.items()}
    return "".join(f"export {key}={value}\n" for key, value in quoted.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--ironic", action="append", default=[],
                        choices=("none", "http_basic", "keystone"))
    parser.add_argument("--missing", action="store_true",
                        help="only say which packages are missing")
    parser.add_argument("directory", nargs="?")
    options = parser.parse_args()
    if missing_packages():
        raise SystemExit(MISSING.format(" ".join(missing_packages())))
    if options.missing:
        return
    if options.directory is None:
        parser.error("which directory?")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with Cloud(options.directory) as cloud:
        for user, grants in {**PEOPLE, "admin": [("admin", "admin")]}.items():
            project, _ = grants[0] if grants else (None, None)
            path = cloud.directory / f"openrc-{user}"
            path.touch(mode=0o600)
            path.write_text(shell(cloud.openrc(user, None if project == "all" else project,
                                               project == "all")), encoding="utf-8")
        print(f"Keystone: {cloud.keystone.url} after {time.monotonic() - began:.0f} s; "
              f"{cloud.directory}/openrc-USER for {' '.join(PEOPLE)} admin")
        for name in PROJECTS:
            print(f"project {name}: {cloud.projects[name]}")
        for auth in options.ironic:
            print(f"Ironic with {auth}: {cloud.ironic(auth).url}")
        print(f"after {time.monotonic() - began:.0f} s; Control-C ends it", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
