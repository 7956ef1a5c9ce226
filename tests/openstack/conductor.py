# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ironic as it is deployed: ironic-api and ironic-conductor are two programs that speak json-rpc,
and the conductor has ironic_nmid, as `make install` leaves it."""
import os
import subprocess

from ironic_service import Ironic
from service import Port, Service, environment, lab


def install(directory):
    """-> where the modules lie that `make install` puts for python3."""
    make = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    done = subprocess.run(["make", "-s", "install-ironic_nmidDATA", "install-ironic_nmid_infoDATA",
                           f"DESTDIR={directory}"], cwd=lab.top_builddir, env=make,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = list(directory.rglob("ironic_nmid/hardware.py"))
    assert done.returncode == 0 and len(found) == 1, done.stdout + done.stderr
    return found[0].parents[1]


class Conductor(Ironic):
    """No credentials at the API. nmid: the keys of [nmid] in ironic.conf."""

    def __init__(self, cloud, name, modules, nmid, more=None):
        self.rpc = Port()
        sections = {
            "DEFAULT": {"rpc_transport": "json-rpc",
                        "enabled_hardware_types": "fake-hardware,ipmi,nmid",
                        "enabled_management_interfaces": "fake,ipmitool,nmid"},
            "json_rpc": {"host_ip": "127.0.0.1", "port": self.rpc.number,
                         "auth_strategy": "noauth"},
            "nmid": nmid, **(more or {})}
        env = {"PYTHONPATH": str(modules)}
        super().__init__(cloud, "none", name, sections, env)
        self.argv[0] = "/usr/bin/ironic-api"
        self.conductor = Service(f"{name}-conductor", self.directory,
                                 ["/usr/bin/ironic-conductor", "--config-file", self.conf],
                                 lambda: self.rpc.answers("/"), env=env)

    def start(self):
        self.conductor.start().wait_ready()
        return super().start()

    def stop(self):
        super().stop()
        self.conductor.stop()

    def logs(self):
        return [*super().logs(), *self.conductor.logs()]

    def log(self):
        """The conductor's."""
        return "".join(path.read_text(errors="backslashreplace")
                       for path in self.conductor.logs())

    def cli(self, *words, url=None, timeout=150):
        """The unmodified `baremetal`; -> CompletedProcess."""
        return subprocess.run(
            ["/usr/bin/baremetal", "--os-auth-type", "none", "--os-endpoint", url or self.url,
             *words], env=environment(HOME=str(self.directory)), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout, check=False)


def start(case_class, name, nmid, more=None):
    """Starts one in the cloud of a CloudCase class."""
    cloud = case_class.cloud
    service = Conductor(cloud, name, install(cloud.directory / f"{name}-modules"), nmid, more)
    service.create_database()
    cloud.services.append(service)
    service.start().wait_ready()
    return service
