# SPDX-License-Identifier: GPL-3.0-or-later
# The package that an Ironic conductor loads, where the system's python3 finds it; its entry points are
# what names it to Ironic. `pip install ./src/ironic` does the same elsewhere.
IRONIC_NMID = \
	src/ironic/ironic_nmid/__init__.py \
	src/ironic/ironic_nmid/client.py \
	src/ironic/ironic_nmid/conf.py \
	src/ironic/ironic_nmid/hardware.py \
	src/ironic/ironic_nmid/management.py \
	src/ironic/ironic_nmid/target.py
EXTRA_DIST += $(IRONIC_NMID) src/ironic/entry_points.txt src/ironic/setup.cfg src/ironic/setup.py \
	src/ironic/MANIFEST.in src/ironic/README.md
if HAVE_PYTHONDIR
ironic_nmiddir = $(pythondir)/ironic_nmid
ironic_nmid_DATA = $(IRONIC_NMID)
ironic_nmid_infodir = $(pythondir)/ironic_nmid-$(PACKAGE_VERSION).dist-info
ironic_nmid_info_DATA = src/ironic/METADATA src/ironic/entry_points.txt
endif
src/ironic/METADATA: Makefile
	$(AM_V_GEN)$(MKDIR_P) src/ironic && \
	printf '%s\n' 'Metadata-Version: 2.1' 'Name: ironic-nmid' 'Version: $(PACKAGE_VERSION)' >$@
CLEANFILES += src/ironic/METADATA
