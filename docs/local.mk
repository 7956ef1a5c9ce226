# SPDX-License-Identifier: GPL-3.0-or-later
dist_man_MANS += docs/nmid.conf.5
dist_man_MANS += docs/nmictl.1
dist_man_MANS += docs/nmid.8
EXTRA_DIST += docs/ARCHITECTURE.md docs/ipmi.md docs/journal.md
EXTRA_DIST += docs/PERFORMANCE.md docs/RELIABILITY.md

# The manual is linted where mandoc is installed.
if HAVE_MANDOC
TESTS += tests/unit/test_man.sh
endif
EXTRA_DIST += tests/unit/test_man.sh
EXTRA_DIST += docs/contract-nova.md docs/contract-agent.md
EXTRA_DIST += docs/contract-ironic.md
EXTRA_DIST += docs/callbacks.md
EXTRA_DIST += docs/policy.md docs/auth.md
EXTRA_DIST += docs/SECURITY.md docs/http-shapes.md
EXTRA_DIST += docs/audit.md
EXTRA_DIST += docs/state-source.md
EXTRA_DIST += docs/openstack.md
EXTRA_DIST += docs/host.md
