#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nova-compute's own Ironic driver, of Debian's python3-nova, unmodified: what nova-compute does
when somebody triggers a crash dump of an instance. Nothing else of Nova runs: no database, no
queue.

    nova_driver.py NOVA.CONF INSTANCE-UUID

Exit code 0, or 1 with the exception's class and text: what the action's event at Nova would bear.
"""
import sys

import nova.conf
import nova.objects
from nova.virt.ironic import driver

nova.conf.CONF([], project="nova", default_config_files=[sys.argv[1]])
nova.objects.register_all()
instance = nova.objects.Instance(uuid=sys.argv[2])
try:
    driver.IronicDriver(None).trigger_crash_dump(instance)
except Exception as error:  # pylint: disable=broad-except
    print(f"{type(error).__module__}.{type(error).__name__}: {error}")
    sys.exit(1)
print("triggered")
