# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware type nmid: ipmi, with nmid's management interface before ipmi's own."""
from ironic.drivers import ipmi
from ironic_nmid import management


class NmidHardware(ipmi.IPMIHardware):
    """Power, console, vendor: as ipmi."""

    @property
    def supported_management_interfaces(self):
        return [management.NmidManagement, *super().supported_management_interfaces]
