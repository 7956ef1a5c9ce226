# SPDX-License-Identifier: GPL-3.0-or-later

# The configuration and its nodes.
check_PROGRAMS += tests/unit/test_conf tests/unit/test_conf_node tests/unit/test_info \
	tests/unit/test_ipmi_info tests/unit/test_node
TESTS += tests/unit/test_conf tests/unit/test_conf_node tests/unit/test_info \
	tests/unit/test_ipmi_info tests/unit/test_node
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c tests/unit/conf/conf_lab.c \
	tests/unit/conf/conf_lab.h
tests_unit_test_conf_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_conf_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_node_SOURCES = tests/unit/test_conf_node.c tests/unit/conf/conf_lab.c \
	tests/unit/conf/conf_lab.h
tests_unit_test_conf_node_CPPFLAGS = $(tests_unit_test_conf_CPPFLAGS)
tests_unit_test_conf_node_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_info_SOURCES = tests/unit/test_info.c
tests_unit_test_info_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_info_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_ipmi_info_SOURCES = tests/unit/test_ipmi_info.c
tests_unit_test_ipmi_info_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ipmi_info_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_node_SOURCES = tests/unit/test_node.c
tests_unit_test_node_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_node_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# nmictl.
check_PROGRAMS += tests/unit/test_hostlist tests/unit/test_table
TESTS += tests/unit/test_hostlist tests/unit/test_table
tests_unit_test_hostlist_SOURCES = tests/unit/test_hostlist.c
tests_unit_test_hostlist_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_hostlist_LDADD = libnmictl.a libnmid.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_unit_test_table_SOURCES = tests/unit/test_table.c
tests_unit_test_table_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_table_LDADD = libnmictl.a libnmid.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_openrc
TESTS += tests/unit/test_openrc
tests_unit_test_openrc_SOURCES = tests/unit/test_openrc.c
tests_unit_test_openrc_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_openrc_LDADD = libnmictl.a libnmid.a $(CURL_LIBS) $(JANSSON_LIBS) $(CMOCKA_LIBS)

# HTTP and the contracts that speak it, over real sockets.
check_PROGRAMS += tests/unit/test_agent tests/unit/test_agent_more tests/unit/test_http_guards \
	tests/unit/test_http_limits tests/unit/test_http_server tests/unit/test_nova
TESTS += tests/unit/test_agent tests/unit/test_agent_more tests/unit/test_http_guards \
	tests/unit/test_http_limits tests/unit/test_http_server tests/unit/test_nova
STATE_DIR = tests/unit/state_dir.c tests/unit/state_dir.h
HTTP_RIG = tests/unit/http_rig.c tests/unit/http_rig.h $(STATE_DIR)
HTTP_LATE = $(HTTP_RIG) tests/unit/http_late.c tests/unit/http_late.h
AGENT_CASE = $(HTTP_RIG) tests/unit/agent_case.c tests/unit/agent_case.h
tests_unit_test_agent_SOURCES = tests/unit/test_agent.c $(AGENT_CASE)
tests_unit_test_agent_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_agent_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_agent_more_SOURCES = tests/unit/test_agent_more.c $(AGENT_CASE)
tests_unit_test_agent_more_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_agent_more_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/unit/test_agent_nodes
TESTS += tests/unit/test_agent_nodes
tests_unit_test_agent_nodes_SOURCES = tests/unit/test_agent_nodes.c $(AGENT_CASE)
tests_unit_test_agent_nodes_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_agent_nodes_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_http_guards_SOURCES = tests/unit/test_http_guards.c $(HTTP_LATE)
tests_unit_test_http_guards_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_guards_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_http_limits_SOURCES = tests/unit/test_http_limits.c $(HTTP_LATE)
tests_unit_test_http_limits_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_limits_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_http_server_SOURCES = tests/unit/test_http_server.c $(HTTP_LATE)
tests_unit_test_http_server_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_server_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_nova_SOURCES = tests/unit/test_nova.c $(HTTP_RIG)
tests_unit_test_nova_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_nova_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/unit/test_contract_ironic
TESTS += tests/unit/test_contract_ironic
tests_unit_test_contract_ironic_SOURCES = tests/unit/test_contract_ironic.c $(HTTP_RIG)
tests_unit_test_contract_ironic_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_contract_ironic_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread

# Who may, over HTTP: with a way of authentication of the tests' own.
check_PROGRAMS += tests/unit/test_http_auth tests/unit/test_who tests/unit/test_policy \
	tests/unit/test_conf_policy tests/unit/test_http_lists
TESTS += tests/unit/test_http_auth tests/unit/test_who tests/unit/test_policy \
	tests/unit/test_conf_policy tests/unit/test_http_lists
FAKE_AUTH = $(HTTP_RIG) tests/unit/fake_auth.c tests/unit/fake_auth.h
tests_unit_test_http_auth_SOURCES = tests/unit/test_http_auth.c $(FAKE_AUTH)
tests_unit_test_http_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_auth_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_http_lists_SOURCES = tests/unit/test_http_lists.c $(FAKE_AUTH)
tests_unit_test_http_lists_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_lists_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/unit/test_nova_servers
TESTS += tests/unit/test_nova_servers
tests_unit_test_nova_servers_SOURCES = tests/unit/test_nova_servers.c $(FAKE_AUTH)
tests_unit_test_nova_servers_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_nova_servers_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_who_SOURCES = tests/unit/test_who.c $(FAKE_AUTH)
tests_unit_test_who_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_who_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_policy_SOURCES = tests/unit/test_policy.c
tests_unit_test_policy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_policy_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_policy_SOURCES = tests/unit/test_conf_policy.c tests/unit/conf/conf_lab.c \
	tests/unit/conf/conf_lab.h
tests_unit_test_conf_policy_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_conf_policy_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# The base, the loop, the journal and the engine. test_engine_journal brings a journal of its own.
check_PROGRAMS += tests/unit/test_base tests/unit/test_map tests/unit/test_loop tests/unit/test_pool \
	tests/unit/test_journal tests/unit/test_ladder tests/unit/test_engine \
	tests/unit/test_engine_end tests/unit/test_engine_journal
TESTS += tests/unit/test_base tests/unit/test_map tests/unit/test_loop tests/unit/test_pool \
	tests/unit/test_journal tests/unit/test_ladder tests/unit/test_engine \
	tests/unit/test_engine_end tests/unit/test_engine_journal tests/unit/test_layers.sh
EXTRA_DIST += tests/unit/test_layers.sh
UNIT_FLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
check_PROGRAMS += tests/unit/test_secret
TESTS += tests/unit/test_secret
tests_unit_test_secret_SOURCES = tests/unit/test_secret.c
tests_unit_test_secret_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_secret_LDADD = libnmid.a $(CMOCKA_LIBS)
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_base_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_map_SOURCES = tests/unit/test_map.c
tests_unit_test_map_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_map_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_loop_SOURCES = tests/unit/test_loop.c
tests_unit_test_loop_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_loop_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_pool_SOURCES = tests/unit/test_pool.c
tests_unit_test_pool_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_pool_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c $(STATE_DIR)
tests_unit_test_journal_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_ladder_SOURCES = tests/unit/test_ladder.c tests/unit/engine_rig.c $(STATE_DIR) \
	tests/unit/engine_rig.h
tests_unit_test_ladder_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_ladder_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_repeat
TESTS += tests/unit/test_repeat
tests_unit_test_repeat_SOURCES = tests/unit/test_repeat.c tests/unit/engine_rig.c $(STATE_DIR) \
	tests/unit/engine_rig.h
tests_unit_test_repeat_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_repeat_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_engine_SOURCES = tests/unit/test_engine.c tests/unit/engine_rig.c $(STATE_DIR) \
	tests/unit/engine_rig.h
tests_unit_test_engine_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_engine_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_engine_end_SOURCES = tests/unit/test_engine_end.c tests/unit/engine_rig.c $(STATE_DIR) \
	tests/unit/engine_rig.h
tests_unit_test_engine_end_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_engine_end_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_engine_journal_SOURCES = tests/unit/test_engine_journal.c tests/unit/engine_rig.c $(STATE_DIR) \
	tests/unit/engine_rig.h
tests_unit_test_engine_journal_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_engine_journal_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# IPMI sessions, in memory and virtual time with a BMC of the tests' own; recordings; the sockets.
check_PROGRAMS += tests/unit/test_ipmi_codec tests/unit/test_ipmi_explain \
	tests/unit/test_ipmi_flight tests/unit/test_ipmi_hostile \
	tests/unit/test_ipmi_interrupt tests/unit/test_ipmi_net \
	tests/unit/test_ipmi_memory tests/unit/test_ipmi_replay tests/unit/test_ipmi_resend \
	tests/unit/test_ipmi_sel \
	tests/unit/test_ipmi_session tests/unit/test_ipmi_silence
TESTS += tests/unit/test_ipmi_codec tests/unit/test_ipmi_explain \
	tests/unit/test_ipmi_flight tests/unit/test_ipmi_hostile \
	tests/unit/test_ipmi_interrupt tests/unit/test_ipmi_net \
	tests/unit/test_ipmi_memory tests/unit/test_ipmi_replay tests/unit/test_ipmi_resend \
	tests/unit/test_ipmi_sel \
	tests/unit/test_ipmi_session tests/unit/test_ipmi_silence
IPMI_RIG = tests/unit/ipmi/bmc.c tests/unit/ipmi/bmc.h \
	tests/unit/ipmi/crypt.c tests/unit/ipmi/crypt.h \
	tests/unit/ipmi/rig.c tests/unit/ipmi/rig.h \
	tests/unit/ipmi/wire.c tests/unit/ipmi/wire.h \
	tests/replay/recording.c tests/replay/recording.h
IPMI_RIG_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) $(GCRYPT_CFLAGS) -I$(top_srcdir)/tests \
	-I$(top_srcdir)/tests/replay
IPMI_RIG_LIBS = $(NMID_LIBS) $(GCRYPT_LIBS) $(CMOCKA_LIBS)
tests_unit_test_ipmi_codec_SOURCES = tests/unit/test_ipmi_codec.c $(IPMI_RIG)
tests_unit_test_ipmi_codec_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_codec_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_explain_SOURCES = tests/unit/test_ipmi_explain.c $(IPMI_RIG)
tests_unit_test_ipmi_explain_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_explain_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_flight_SOURCES = tests/unit/test_ipmi_flight.c tests/unit/ipmi/flight_lab.c \
	tests/unit/ipmi/flight_lab.h $(IPMI_RIG)
tests_unit_test_ipmi_flight_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_flight_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_hostile_SOURCES = tests/unit/test_ipmi_hostile.c $(IPMI_RIG)
tests_unit_test_ipmi_hostile_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_hostile_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_interrupt_SOURCES = tests/unit/test_ipmi_interrupt.c $(IPMI_RIG)
tests_unit_test_ipmi_interrupt_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_interrupt_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_net_SOURCES = tests/unit/test_ipmi_net.c
tests_unit_test_ipmi_net_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_ipmi_net_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_ipmi_replay_SOURCES = tests/unit/test_ipmi_replay.c $(IPMI_RIG)
tests_unit_test_ipmi_replay_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_replay_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_session_SOURCES = tests/unit/test_ipmi_session.c $(IPMI_RIG)
tests_unit_test_ipmi_session_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_session_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_memory_SOURCES = tests/unit/test_ipmi_memory.c $(IPMI_RIG)
tests_unit_test_ipmi_memory_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_memory_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_resend_SOURCES = tests/unit/test_ipmi_resend.c $(IPMI_RIG)
tests_unit_test_ipmi_resend_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_resend_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_sel_SOURCES = tests/unit/test_ipmi_sel.c $(IPMI_RIG)
tests_unit_test_ipmi_sel_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_sel_LDADD = $(IPMI_RIG_LIBS)
tests_unit_test_ipmi_silence_SOURCES = tests/unit/test_ipmi_silence.c $(IPMI_RIG)
tests_unit_test_ipmi_silence_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_silence_LDADD = $(IPMI_RIG_LIBS)

# Callbacks: URLs, digests, the HTTP client, the outbox in simulated time (with a clock, a timer, a
# client and a journal of its own).
check_PROGRAMS += tests/unit/test_callback tests/unit/test_client tests/unit/test_conf_callback \
	tests/unit/test_digest tests/unit/test_url
TESTS += tests/unit/test_callback tests/unit/test_client tests/unit/test_conf_callback \
	tests/unit/test_digest tests/unit/test_url
tests_unit_test_callback_SOURCES = tests/unit/test_callback.c
tests_unit_test_callback_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_callback_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_client_SOURCES = tests/unit/test_client.c
tests_unit_test_client_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_client_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
tests_unit_test_conf_callback_SOURCES = tests/unit/test_conf_callback.c tests/unit/conf/conf_lab.c \
	tests/unit/conf/conf_lab.h
tests_unit_test_conf_callback_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_conf_callback_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_digest_SOURCES = tests/unit/test_digest.c
tests_unit_test_digest_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_digest_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_url_SOURCES = tests/unit/test_url.c
tests_unit_test_url_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_url_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# The journal over restarts, failing disks, kills and days: on real files, in simulated time.
check_PROGRAMS += tests/unit/test_day tests/unit/test_journal_faults tests/unit/test_journal_hang \
	tests/unit/test_journal_open tests/unit/test_journal_recovery tests/unit/test_journal_restart
TESTS += tests/unit/test_day tests/unit/test_journal_faults tests/unit/test_journal_hang \
	tests/unit/test_journal_open tests/unit/test_journal_recovery tests/unit/test_journal_restart
FAKE_LOOP = tests/unit/fake_loop.c tests/unit/fake_loop.h $(STATE_DIR)
FAULT_VFS = tests/unit/fault_vfs.c tests/unit/fault_vfs.h $(FAKE_LOOP)
JOURNAL_PLAY = tests/unit/journal_play.c tests/unit/journal_play.h \
	tests/unit/engine_rig.c tests/unit/engine_rig.h $(FAULT_VFS)
check_PROGRAMS += tests/unit/test_http_places
TESTS += tests/unit/test_http_places
tests_unit_test_http_places_SOURCES = tests/unit/test_http_places.c $(HTTP_LATE)
tests_unit_test_http_places_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_places_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS) -lpthread
check_PROGRAMS += tests/unit/test_limits
TESTS += tests/unit/test_limits
tests_unit_test_limits_SOURCES = tests/unit/test_limits.c $(FAKE_LOOP)
tests_unit_test_limits_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_limits_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_limits_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=calloc
check_PROGRAMS += tests/unit/test_engine_queue
TESTS += tests/unit/test_engine_queue
tests_unit_test_engine_queue_SOURCES = tests/unit/test_engine_queue.c tests/unit/engine_rig.c \
	tests/unit/engine_rig.h $(FAKE_LOOP)
tests_unit_test_engine_queue_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_engine_queue_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_day_SOURCES = tests/unit/test_day.c $(FAULT_VFS)
tests_unit_test_day_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_day_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_faults_SOURCES = tests/unit/test_journal_faults.c $(JOURNAL_PLAY)
tests_unit_test_journal_faults_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_faults_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_hang_SOURCES = tests/unit/test_journal_hang.c $(JOURNAL_PLAY)
tests_unit_test_journal_hang_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_hang_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_open_SOURCES = tests/unit/test_journal_open.c $(STATE_DIR)
tests_unit_test_journal_open_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_open_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_recovery_SOURCES = tests/unit/test_journal_recovery.c $(FAULT_VFS)
tests_unit_test_journal_recovery_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_recovery_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_restart_SOURCES = tests/unit/test_journal_restart.c $(FAKE_LOOP)
tests_unit_test_journal_restart_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_restart_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_ipmi_doubt
TESTS += tests/unit/test_ipmi_doubt
tests_unit_test_ipmi_doubt_SOURCES = tests/unit/test_ipmi_doubt.c $(IPMI_RIG)
tests_unit_test_ipmi_doubt_CPPFLAGS = $(IPMI_RIG_CPPFLAGS)
tests_unit_test_ipmi_doubt_LDADD = $(IPMI_RIG_LIBS)

# Who asks: htpasswd files and log-ins, local users, auth = { ... }. The first two bring a clock, a
# pool and an audit of their own.
check_PROGRAMS += tests/unit/test_auth_basic tests/unit/test_auth_local tests/unit/test_conf_auth \
	tests/unit/test_htpasswd
TESTS += tests/unit/test_auth_basic tests/unit/test_auth_local tests/unit/test_conf_auth \
	tests/unit/test_htpasswd
check_PROGRAMS += tests/unit/test_attempts tests/unit/test_auth_guesses
TESTS += tests/unit/test_attempts tests/unit/test_auth_guesses
tests_unit_test_attempts_SOURCES = tests/unit/test_attempts.c $(FAKE_LOOP)
tests_unit_test_attempts_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_attempts_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_auth_guesses_SOURCES = tests/unit/test_auth_guesses.c $(FAKE_LOOP)
tests_unit_test_auth_guesses_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_auth_guesses_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_auth_basic_SOURCES = tests/unit/test_auth_basic.c
tests_unit_test_auth_basic_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_auth_basic_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_auth_certificate tests/unit/test_conf_certificate \
	tests/unit/test_verify
TESTS += tests/unit/test_auth_certificate tests/unit/test_conf_certificate tests/unit/test_verify
tests_unit_test_verify_SOURCES = tests/unit/test_verify.c
tests_unit_test_verify_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_verify_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_certificate_SOURCES = tests/unit/test_conf_certificate.c \
	tests/unit/conf/conf_lab.c tests/unit/conf/conf_lab.h
tests_unit_test_conf_certificate_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_conf_certificate_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_auth_certificate_SOURCES = tests/unit/test_auth_certificate.c
tests_unit_test_auth_certificate_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_auth_certificate_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_auth_local_SOURCES = tests/unit/test_auth_local.c
tests_unit_test_auth_local_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_auth_local_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_auth_SOURCES = tests/unit/test_conf_auth.c tests/unit/conf/conf_lab.c \
	tests/unit/conf/conf_lab.h
tests_unit_test_conf_auth_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_conf_auth_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_htpasswd_SOURCES = tests/unit/test_htpasswd.c
tests_unit_test_htpasswd_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_htpasswd_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# Ironic as the source of states: in simulated time, with a client and a Keystone of its own.
check_PROGRAMS += tests/unit/test_ironic tests/unit/test_ironic_parse
TESTS += tests/unit/test_ironic tests/unit/test_ironic_parse
tests_unit_test_ironic_SOURCES = tests/unit/test_ironic.c
tests_unit_test_ironic_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_ironic_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_ironic_parse_SOURCES = tests/unit/test_ironic_parse.c
tests_unit_test_ironic_parse_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_ironic_parse_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_node_state tests/unit/test_conf_ironic
TESTS += tests/unit/test_node_state tests/unit/test_conf_ironic
tests_unit_test_node_state_SOURCES = tests/unit/test_node_state.c tests/unit/engine_rig.c \
	$(STATE_DIR) tests/unit/engine_rig.h
tests_unit_test_node_state_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_node_state_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_ironic_SOURCES = tests/unit/test_conf_ironic.c tests/unit/conf/conf_lab.c \
	tests/unit/conf/conf_lab.h
tests_unit_test_conf_ironic_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_conf_ironic_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# The audit: its rows in the journal, decisions and outcomes, entries for the system's journal.
check_PROGRAMS += tests/unit/test_audit tests/unit/test_journal_audit tests/unit/test_record \
	tests/unit/test_when
TESTS += tests/unit/test_audit tests/unit/test_journal_audit tests/unit/test_record \
	tests/unit/test_when
tests_unit_test_audit_SOURCES = tests/unit/test_audit.c $(JOURNAL_PLAY)
tests_unit_test_audit_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_audit_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_journal_audit_SOURCES = tests/unit/test_journal_audit.c $(FAULT_VFS)
tests_unit_test_journal_audit_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_journal_audit_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_record_SOURCES = tests/unit/test_record.c
tests_unit_test_record_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_record_LDADD = libnmid.a $(CMOCKA_LIBS)
tests_unit_test_when_SOURCES = tests/unit/test_when.c
tests_unit_test_when_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_when_LDADD = libnmid.a $(CMOCKA_LIBS)

# Keystone: log-ins, tokens and what is remembered of them, with a client and clocks of their own.
check_PROGRAMS += tests/unit/test_auth_keystone tests/unit/test_conf_keystone tests/unit/test_keystone
TESTS += tests/unit/test_auth_keystone tests/unit/test_conf_keystone tests/unit/test_keystone
FAKE_CLIENT = tests/unit/fake_client.c tests/unit/fake_client.h
tests_unit_test_auth_keystone_SOURCES = tests/unit/test_auth_keystone.c $(FAKE_CLIENT)
tests_unit_test_auth_keystone_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_auth_keystone_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_conf_keystone_SOURCES = tests/unit/test_conf_keystone.c \
	tests/unit/conf/conf_lab.c tests/unit/conf/conf_lab.h
tests_unit_test_conf_keystone_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_conf_keystone_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
tests_unit_test_keystone_SOURCES = tests/unit/test_keystone.c $(FAKE_CLIENT)
tests_unit_test_keystone_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_keystone_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# The way back to Ironic, with the same.
check_PROGRAMS += tests/unit/test_callback_ironic
TESTS += tests/unit/test_callback_ironic
tests_unit_test_callback_ironic_SOURCES = tests/unit/test_callback_ironic.c $(FAKE_CLIENT)
tests_unit_test_callback_ironic_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_callback_ironic_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)

# Clients' certificates: their subjects as text; what the log has of failed handshakes; the rest.
check_PROGRAMS += tests/unit/test_subject tests/unit/test_tls_failures
TESTS += tests/unit/test_subject tests/unit/test_tls_failures
tests_unit_test_subject_SOURCES = tests/unit/test_subject.c
tests_unit_test_subject_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_subject_LDADD = libnmid.a $(CMOCKA_LIBS)
tests_unit_test_tls_failures_SOURCES = tests/unit/test_tls_failures.c $(FAKE_LOOP)
tests_unit_test_tls_failures_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_tls_failures_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
if HAVE_GNUTLS
check_PROGRAMS += tests/unit/test_tls
TESTS += tests/unit/test_tls
endif
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c
tests_unit_test_tls_CPPFLAGS = $(UNIT_FLAGS)
tests_unit_test_tls_LDADD = $(NMID_LIBS) $(CMOCKA_LIBS)
