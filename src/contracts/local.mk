# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += \
	src/contracts/agent.c src/contracts/agent.h src/contracts/agent_state.h \
	src/contracts/agent_actions.c \
	src/contracts/agent_audit.c \
	src/contracts/agent_batch.c \
	src/contracts/agent_metrics.c \
	src/contracts/agent_nodes.c \
	src/contracts/agent_override.c \
	src/contracts/body.c src/contracts/body.h \
	src/contracts/discovery.c src/contracts/discovery.h \
	src/contracts/ironic_api.c src/contracts/ironic_api.h src/contracts/ironic_api_state.h \
	src/contracts/ironic_error.c \
	src/contracts/ironic_list.c \
	src/contracts/ironic_nodes.c \
	src/contracts/ironic_version.c src/contracts/ironic_version.h \
	src/contracts/microversion.c src/contracts/microversion.h \
	src/contracts/nova.c src/contracts/nova.h src/contracts/nova_state.h \
	src/contracts/nova_query.c src/contracts/nova_query.h \
	src/contracts/nova_servers.c \
	src/contracts/nova_view.c \
	src/contracts/pyrepr.c src/contracts/pyrepr.h \
	src/contracts/ready.c src/contracts/ready.h
