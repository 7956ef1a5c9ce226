# SPDX-License-Identifier: GPL-3.0-or-later
dist_man_MANS += docs/nmid.conf.5
dist_man_MANS += docs/nmictl.1
dist_man_MANS += docs/nmid.8

# The manual sends readers to these. They lie as they do here, so that their links hold.
nobase_dist_doc_DATA = README.md ChangeLog
nobase_dist_doc_DATA += docs/ARCHITECTURE.md docs/ipmi.md docs/journal.md
nobase_dist_doc_DATA += docs/PERFORMANCE.md docs/RELIABILITY.md
nobase_dist_doc_DATA += docs/contract-nova.md docs/contract-agent.md
nobase_dist_doc_DATA += docs/contract-ironic.md
nobase_dist_doc_DATA += docs/callbacks.md
nobase_dist_doc_DATA += docs/policy.md docs/auth.md
nobase_dist_doc_DATA += docs/SECURITY.md docs/http-shapes.md
nobase_dist_doc_DATA += docs/audit.md
nobase_dist_doc_DATA += docs/state-source.md
nobase_dist_doc_DATA += docs/openstack.md
nobase_dist_doc_DATA += docs/host.md
uninstall-hook:
	rmdir "$(DESTDIR)$(docdir)/docs" "$(DESTDIR)$(docdir)" 2>/dev/null || :

# The manual is linted where mandoc is installed.
if HAVE_MANDOC
TESTS += tests/unit/test_man.sh
endif
EXTRA_DIST += tests/unit/test_man.sh
