# SPDX-License-Identifier: GPL-3.0-or-later

# The configuration: an administrator's own is never overwritten, and is left at uninstall.
EXTRA_DIST += conf/nmid.conf conf/nodes.d/example.conf.sample conf/container/Containerfile
nmidconfdir = $(sysconfdir)/nmid

# Automake wants these in one place, whatever a condition adds.
install-data-local: install-nmid-conf install-nmictl-completion $(install_host)
uninstall-local: uninstall-nmid-conf uninstall-nmictl-completion $(uninstall_host)

.PHONY: install-nmid-conf uninstall-nmid-conf
install-nmid-conf:
	$(MKDIR_P) "$(DESTDIR)$(nmidconfdir)"
	test -d "$(DESTDIR)$(nmidconfdir)/nodes.d" || \
		$(INSTALL) -d -m 750 "$(DESTDIR)$(nmidconfdir)/nodes.d"
	test -e "$(DESTDIR)$(nmidconfdir)/nmid.conf" || \
		$(INSTALL) -m 640 "$(srcdir)/conf/nmid.conf" "$(DESTDIR)$(nmidconfdir)/nmid.conf"
	$(INSTALL_DATA) "$(srcdir)/conf/nodes.d/example.conf.sample" \
		"$(DESTDIR)$(nmidconfdir)/nodes.d/example.conf.sample"

uninstall-nmid-conf:
	rm -f "$(DESTDIR)$(nmidconfdir)/nodes.d/example.conf.sample"
	if cmp -s "$(srcdir)/conf/nmid.conf" "$(DESTDIR)$(nmidconfdir)/nmid.conf"; then \
		rm -f "$(DESTDIR)$(nmidconfdir)/nmid.conf"; fi
	-rmdir "$(DESTDIR)$(nmidconfdir)/nodes.d" "$(DESTDIR)$(nmidconfdir)" 2>/dev/null

# The completion's file must bear the command's name.
EXTRA_DIST += conf/nmictl.bash

.PHONY: install-nmictl-completion uninstall-nmictl-completion
install-nmictl-completion:
	$(MKDIR_P) "$(DESTDIR)$(bashcompletiondir)"
	$(INSTALL_DATA) "$(srcdir)/conf/nmictl.bash" "$(DESTDIR)$(bashcompletiondir)/nmictl"

uninstall-nmictl-completion:
	rm -f "$(DESTDIR)$(bashcompletiondir)/nmictl"

# For systemd, with the paths of this build: the unit, the user, the directories. sysusers and tmpfiles
# want files that bear the program's name.
EXTRA_DIST += conf/nmid.service.in conf/nmid.sysusers conf/nmid.tmpfiles.in
CLEANFILES += conf/nmid.service conf/nmid.tmpfiles
with_paths = $(SED) -e 's|@sbindir[@]|$(sbindir)|g' -e 's|@sysconfdir[@]|$(sysconfdir)|g'
conf/nmid.service: $(srcdir)/conf/nmid.service.in Makefile
	$(AM_V_at)$(MKDIR_P) conf
	$(AM_V_GEN)$(with_paths) $(srcdir)/conf/nmid.service.in >$@
conf/nmid.tmpfiles: $(srcdir)/conf/nmid.tmpfiles.in Makefile
	$(AM_V_at)$(MKDIR_P) conf
	$(AM_V_GEN)$(with_paths) $(srcdir)/conf/nmid.tmpfiles.in >$@
# The tests look at them, whether they are installed or not.
check_DATA += conf/nmid.service conf/nmid.tmpfiles
if HAVE_SYSTEMD
noinst_DATA = conf/nmid.tmpfiles
systemdsystemunit_DATA = conf/nmid.service
install_host = install-nmid-host
uninstall_host = uninstall-nmid-host
endif

.PHONY: install-nmid-host uninstall-nmid-host
install-nmid-host: conf/nmid.tmpfiles
	$(MKDIR_P) "$(DESTDIR)$(prefix)/lib/sysusers.d" "$(DESTDIR)$(prefix)/lib/tmpfiles.d"
	$(INSTALL_DATA) "$(srcdir)/conf/nmid.sysusers" "$(DESTDIR)$(prefix)/lib/sysusers.d/nmid.conf"
	$(INSTALL_DATA) conf/nmid.tmpfiles "$(DESTDIR)$(prefix)/lib/tmpfiles.d/nmid.conf"

uninstall-nmid-host:
	rm -f "$(DESTDIR)$(prefix)/lib/sysusers.d/nmid.conf" \
		"$(DESTDIR)$(prefix)/lib/tmpfiles.d/nmid.conf"
