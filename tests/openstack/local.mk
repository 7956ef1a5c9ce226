# SPDX-License-Identifier: GPL-3.0-or-later
# Against a real Keystone and a real Ironic: make check-openstack, which needs more packages than make
# check does (tests/openstack/README.md; ./bootstrap check-openstack installs them). OPENSTACK_TESTS="..."
# runs some of them. Debian's OpenStack runs under Debian's python3, whichever configure found.
OPENSTACK_TESTS = tests/openstack/test_clients_nova.py \
	tests/openstack/test_clients_baremetal.py tests/openstack/test_nova_driver.py \
	tests/openstack/test_keystone.py tests/openstack/test_keystone_tokens.py \
	tests/openstack/test_keystone_down.py tests/openstack/test_keystone_nmictl.py \
	tests/openstack/test_ironic_state.py tests/openstack/test_ironic_callback.py \
	tests/openstack/test_conductor.py tests/openstack/test_ironic_nmid.py
EXTRA_DIST += tests/openstack/test_conductor.py tests/openstack/test_ironic_nmid.py \
	tests/openstack/conductor.py tests/openstack/beside.py
EXTRA_DIST += tests/openstack/test_ironic_callback.py
EXTRA_DIST += tests/openstack/test_clients_nova.py \
	tests/openstack/test_clients_baremetal.py tests/openstack/test_nova_driver.py \
	tests/openstack/baremetal_case.py tests/openstack/cutter.py tests/openstack/nova_driver.py \
	tests/openstack/test_ironic_state.py \
	tests/openstack/test_keystone.py tests/openstack/test_keystone_tokens.py \
	tests/openstack/test_keystone_down.py tests/openstack/test_keystone_nmictl.py \
	tests/openstack/cloud.py tests/openstack/service.py tests/openstack/ironic_service.py \
	tests/openstack/case.py tests/openstack/measure.py tests/openstack/README.md
check-openstack: nmid nmictl tests/sim/bmcsim
	$(AM_V_at)/usr/bin/python3 $(srcdir)/tests/openstack/cloud.py --missing
	$(AM_V_at)$(MKDIR_P) tests/openstack
	+$(AM_V_at)$(MAKE) $(AM_MAKEFLAGS) check-TESTS TESTS='$(OPENSTACK_TESTS)' \
		TEST_SUITE_LOG=tests/openstack/test-suite.log PY_LOG_COMPILER=/usr/bin/python3; rc=$$?; \
	for test in $(OPENSTACK_TESTS); do echo "$$test"; grep '^|' $${test%.py}.log; done \
		>tests/openstack/rows.log; \
	echo "each row is in tests/openstack/rows.log"; exit $$rc
CLEANFILES += tests/openstack/*.log tests/openstack/*.trs

# Speed is measured here and asserted nowhere; and the hardware types ipmi and nmid are compared.
bench-openstack: nmid tests/sim/bmcsim
	for program in measure beside; do \
		top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' \
			PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 \
			$(srcdir)/tests/openstack/$$program.py || exit 1; done
