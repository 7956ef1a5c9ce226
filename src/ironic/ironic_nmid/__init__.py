# SPDX-License-Identifier: GPL-3.0-or-later
"""nmid for an Ironic conductor: the hardware type and the management interface ``nmid``.

Everything is as with the hardware type ``ipmi``, but inject_nmi, which asks nmid: nmid knows
whether the BMC got the interrupt, and never sends it twice.
"""

__version__ = "0.1.0"
