# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Ironic on loopback, and the nodes that a test gives it: see cloud.Cloud.ironic()."""
import sqlite3

from service import Port, Service, lab, make_wal, run, write_conf


class Ironic(Service):
    """An Ironic in one process: API and conductor, with fake and ipmi hardware."""

    def __init__(self, cloud, auth, name, more=None, env=None):
        directory, self.port, self.auth = cloud.directory, Port(), auth
        self.url, self.cloud = self.port.url, cloud
        self.database = directory / f"{name}.db"
        self.conf, state = directory / f"{name}.conf", directory / f"{name}-state"
        hardware = {"enabled_hardware_types": "fake-hardware,ipmi",
                    **{f"enabled_{kind}_interfaces": "fake,ipmitool"
                       for kind in ("management", "power")},
                    **{f"enabled_{kind}_interfaces": f"fake,no-{kind}"
                       for kind in ("console", "inspect", "raid", "vendor", "rescue")},
                    "enabled_bios_interfaces": "fake,no-bios", "enabled_boot_interfaces":
                    "fake,ipxe", "enabled_deploy_interfaces": "fake,direct",
                    "enabled_storage_interfaces": "noop", "enabled_network_interfaces": "noop"}
        sections = {
            "DEFAULT": {"auth_strategy": "noauth" if auth == "none" else auth, "debug": "false",
                        "rpc_transport": "none", "host": "localhost", "my_ip": "127.0.0.1",
                        "state_path": state, **hardware},
            "database": {"connection": f"sqlite:///{self.database}?timeout=30",
                         "sqlite_synchronous": "false"},
            "api": {"host_ip": "127.0.0.1", "port": self.port.number, "api_workers": 1},
            "conductor": {"automated_clean": "false", "sync_power_state_interval": 0,
                          "sync_local_state_interval": 0, "send_sensor_data": "false",
                          "deploy_callback_timeout": 0},
            "deploy": {"http_root": state / "http", "default_boot_option": "local"},
            "pxe": {"tftp_root": state / "tftp",
                    "tftp_master_path": state / "tftp-master",
                    "images_path": state / "images",
                    "instance_master_path": state / "instance-master"},
            "oslo_policy": {"policy_file": directory / "ironic-policy.yaml",
                            "policy_dirs": directory / "ironic-policy.d"},
            "oslo_concurrency": {"lock_path": state / "lock"},
            "ipmi": {"min_command_interval": 1, "command_retry_timeout": 5},
        }
        if auth == "http_basic":
            users = directory / f"{name}.htpasswd"
            run(["/usr/bin/htpasswd", "-cbB", "-C", "5", users, "nmid", "ironic-password"])
            sections["DEFAULT"]["http_basic_auth_user_file"] = users
        if auth == "keystone":
            sections["keystone_authtoken"] = {
                "auth_type": "password", "auth_url": cloud.keystone.url,
                "www_authenticate_uri": cloud.keystone.url, "username": "ironic",
                "password": cloud.password("ironic"), "project_name": "service",
                "user_domain_name": "Default", "project_domain_name": "Default"}
        for section, keys in (more or {}).items():  # of ironic.conf
            sections.setdefault(section, {}).update(keys)
        write_conf(self.conf, sections)
        (state / "http").mkdir(parents=True)
        super().__init__(name, directory, ["/usr/bin/ironic", "--config-file", self.conf],
                         lambda: self.port.answers("/v1"), env=env)

    def create_database(self):
        run(["/usr/bin/ironic-dbsync", "--config-file", self.conf, "create_schema"],
            cwd=self.directory)
        make_wal(self.database)
        return self

    def client(self, who="sysadmin", project=None, version="1.82"):
        """The API as this user (no project: of the whole system); nmid where it is http_basic."""
        return self.cloud.rest(self.url, {"OpenStack-API-Version": f"baremetal {version}",
                                          "X-OpenStack-Ironic-API-Version": version},
                               **self._login(who, project))

    def _login(self, who, project):
        if self.auth == "http_basic":
            return {"basic": ("nmid", "ironic-password")}
        if self.auth == "keystone":
            return {"who": who, "project": project, "system": project is None}
        return {}

    def node_create(self, uuid, name, owner=None, lessee=None, driver="fake-hardware", info=None):
        """Enrolled: its provision_state is enroll."""
        self.client().post("/v1/nodes", {"uuid": uuid, "name": name, "driver": driver,
                                         "driver_info": info or {}})
        # Not at once: an administrator of a project, and whoever comes without credentials is one
        # to Ironic, may not create a node of another project.
        return self.node_patch(uuid, owner=owner, lessee=lessee)

    def node(self, ident):
        return self.client().get(f"/v1/nodes/{ident}")

    def node_patch(self, ident, **keys):
        """None removes."""
        patch = [{"op": "remove", "path": f"/{key}"} if value is None else
                 {"op": "add", "path": f"/{key}", "value": value} for key, value in keys.items()]
        return self.client().patch(f"/v1/nodes/{ident}", patch)

    def node_provision(self, ident, target, until):
        """target is Ironic's verb (manage, provide, active, rebuild, deleted ...)."""
        self.client().put(f"/v1/nodes/{ident}/states/provision", {"target": target})
        return lab.wait_for(lambda: self.node(ident)["provision_state"] == until, 30,
                            f"{ident} to become {until}: {self.node(ident)}")

    def node_activate(self, ident, instance_uuid=None):
        """From enroll to active, by the API."""
        self.node_provision(ident, "manage", "manageable")
        self.node_provision(ident, "provide", "available")
        self.node_patch(ident, instance_info={"image_source": "http://127.0.0.1/image",
                                              "image_checksum": "0" * 32, "root_gb": 1},
                        **({"instance_uuid": instance_uuid} if instance_uuid else {}))
        self.node_provision(ident, "active", "active")

    def node_force(self, ident, **columns):
        """What the API has no verb for, or not for long: written into Ironic's own database."""
        names = ", ".join(f"{name} = ?" for name in columns)
        with sqlite3.connect(self.database, timeout=30) as database:
            count = database.execute(f"update nodes set {names} where uuid = ? or name = ?",
                                     [*columns.values(), ident, ident]).rowcount
        database.close()
        assert count == 1, ident
