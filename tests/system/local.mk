# SPDX-License-Identifier: GPL-3.0-or-later
EXTRA_DIST += tests/system/lab.py tests/system/netns.py
TESTS += tests/system/test_main_job.py tests/system/test_ipmi_faults.py
EXTRA_DIST += tests/system/test_main_job.py tests/system/test_ipmi_faults.py
TESTS += tests/system/test_interop.py tests/system/test_ipmi_sim_module.py
EXTRA_DIST += tests/system/test_interop.py tests/system/test_ipmi_sim_module.py

# nmictl, against a fake nmid.
TESTS += tests/system/test_nmictl.py tests/system/test_nmictl_views.py
TESTS += tests/system/test_nmictl_journal.py
EXTRA_DIST += tests/system/test_nmictl.py tests/system/test_nmictl_views.py \
	tests/system/test_nmictl_journal.py \
	tests/system/nmictl_case.py tests/system/fake_nmid.py
TESTS += tests/system/test_nmictl_auth.py
EXTRA_DIST += tests/system/test_nmictl_auth.py
TESTS += tests/system/test_nmictl_away.py
EXTRA_DIST += tests/system/test_nmictl_away.py
# Where it asks by default; in network and mount namespaces.
TESTS += tests/system/test_nmictl_default.py
EXTRA_DIST += tests/system/test_nmictl_default.py

# TLS: nmictl's, and whom nmid trusts where it asks others.
TESTS += tests/system/test_nmictl_tls.py tests/system/test_outgoing_tls.py
EXTRA_DIST += tests/system/test_nmictl_tls.py tests/system/test_outgoing_tls.py

# HTTP and the contracts.
TESTS += tests/system/test_contract_ironic.py
EXTRA_DIST += tests/system/test_contract_ironic.py
TESTS += tests/system/test_http_guards.py tests/system/test_contract_nova.py \
	tests/system/test_contract_agent.py
TESTS += tests/system/test_lists.py
EXTRA_DIST += tests/system/test_lists.py
EXTRA_DIST += tests/system/http_shapes.py
EXTRA_DIST += tests/system/test_http_guards.py tests/system/test_contract_nova.py \
	tests/system/test_contract_agent.py

# Hostile networks and BMCs, at random.
TESTS += tests/system/test_hostile_proxy.py tests/system/test_misdeeds.py
EXTRA_DIST += tests/system/test_hostile_proxy.py tests/system/test_misdeeds.py \
	tests/system/hostile_proxy.py
TESTS += tests/system/test_spoofed_flood.py
EXTRA_DIST += tests/system/test_spoofed_flood.py

# Silence after the interrupt.
TESTS += tests/system/test_ipmi_silence.py
EXTRA_DIST += tests/system/test_ipmi_silence.py

# A Keystone that misbehaves on demand, for the tests of who may.
TESTS += tests/system/test_auth_keystone.py
EXTRA_DIST += tests/system/test_auth_keystone.py tests/system/fake_keystone.py

# Callbacks.
TESTS += tests/system/test_callback.py
EXTRA_DIST += tests/system/test_callback.py tests/system/receiver.py tests/system/receiver.crt \
	tests/system/receiver.key

# The journal: daemons that are killed, disks that are full, clocks that are set.
TESTS += tests/system/test_restart.py tests/system/test_disk_full.py tests/system/test_clock_back.py
EXTRA_DIST += tests/system/test_restart.py tests/system/test_disk_full.py \
	tests/system/test_clock_back.py tests/system/clock_shim.c
# For LD_PRELOAD, as tests/sim/ipmi_sim_diag.so: no libtool for one file, and no sanitizer in it.
check_DATA += tests/system/clock_shim.so
CLEANFILES += tests/system/clock_shim.so
tests/system/clock_shim.so: $(srcdir)/tests/system/clock_shim.c
	$(AM_V_at)$(MKDIR_P) tests/system
	$(AM_V_CC)$(CC) $(CPPFLAGS) $(NMID_CPPFLAGS) $(NMID_CFLAGS) $(CFLAGS) \
		-D_GNU_SOURCE -fPIC -fvisibility=default -fno-sanitize=all -shared \
		-o $@ $(srcdir)/tests/system/clock_shim.c

# Who may: the table of docs/policy.md, passwords, local users.
TESTS += tests/system/test_attacks.py
EXTRA_DIST += tests/system/test_attacks.py
TESTS += tests/system/test_policy_table.py tests/system/test_auth_basic.py \
	tests/system/test_local_users.py tests/system/test_auth_reload.py
EXTRA_DIST += tests/system/test_policy_table.py tests/system/policy_table.py \
	tests/system/test_auth_basic.py tests/system/test_local_users.py \
	tests/system/test_auth_reload.py

# Ironic as the source of states.
TESTS += tests/system/test_state_source.py
EXTRA_DIST += tests/system/test_state_source.py tests/system/fake_ironic.py

# And as what is told of each node's last action.
TESTS += tests/system/test_callback_ironic.py
EXTRA_DIST += tests/system/test_callback_ironic.py

# The audit, and the same in the system's journal.
TESTS += tests/system/test_audit.py tests/system/test_audit_journal.py
EXTRA_DIST += tests/system/test_audit.py tests/system/test_audit_journal.py

# Nova's read side.
TESTS += tests/system/test_nova_servers.py
EXTRA_DIST += tests/system/test_nova_servers.py

# Failed log-ins, in a network namespace.
TESTS += tests/system/test_login_limits.py
EXTRA_DIST += tests/system/test_login_limits.py

# What a caller may take; in a network namespace too.
TESTS += tests/system/test_limits.py tests/system/test_limits_told.py tests/system/test_limits_net.py
EXTRA_DIST += tests/system/test_limits.py tests/system/test_limits_told.py \
	tests/system/test_limits_net.py \
	tests/system/slow_clients.py

# The documents: what is installed, and a recipe, in network and mount namespaces.
TESTS += tests/system/test_docs.py tests/system/test_docs_recipe.py
EXTRA_DIST += tests/system/test_docs.py tests/system/test_docs_recipe.py

# The host: what a service manager hears, systemd's files, nmid under its own unit, in a container.
TESTS += tests/system/test_watchdog.py tests/system/test_unit_file.py \
	tests/system/test_unit_live.py tests/system/test_unprivileged.py
EXTRA_DIST += tests/system/test_watchdog.py tests/system/test_unit_file.py \
	tests/system/test_unit_live.py tests/system/test_unprivileged.py

# TLS on listeners; pki.py makes the certificates of these and other tests.
TESTS += tests/system/test_tls.py tests/system/test_tls_told.py tests/system/test_tls_renewal.py
EXTRA_DIST += tests/system/test_tls.py tests/system/test_tls_told.py \
	tests/system/test_tls_renewal.py tests/system/pki.py

# Secrets: in no log, answer, database, environment or core.
TESTS += tests/system/test_secrets.py
EXTRA_DIST += tests/system/test_secrets.py
