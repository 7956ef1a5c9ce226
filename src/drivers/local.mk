# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += src/drivers/ipmi_info.c src/drivers/ipmi_info.h
libnmid_a_SOURCES += \
	src/drivers/ipmi.c src/drivers/ipmi.h \
	src/drivers/ipmi_codec.c src/drivers/ipmi_codec.h src/drivers/ipmi_codec_in.c \
	src/drivers/ipmi_codec_proof.c src/drivers/ipmi_codec_state.h \
	src/drivers/ipmi_exchange.c src/drivers/ipmi_exchange.h \
	src/drivers/ipmi_evidence.c src/drivers/ipmi_explain.c \
	src/drivers/ipmi_flight.c src/drivers/ipmi_flight.h \
	src/drivers/ipmi_input.c src/drivers/ipmi_interrupt.c src/drivers/ipmi_machine.h \
	src/drivers/ipmi_lookup.c src/drivers/ipmi_lookup.h \
	src/drivers/ipmi_memory.c src/drivers/ipmi_memory.h \
	src/drivers/ipmi_net.c src/drivers/ipmi_net.h \
	src/drivers/ipmi_numbers.c src/drivers/ipmi_numbers.h \
	src/drivers/ipmi_seal.c src/drivers/ipmi_seal.h \
	src/drivers/ipmi_sel.c src/drivers/ipmi_sel.h \
	src/drivers/ipmi_session.c src/drivers/ipmi_session.h \
	src/drivers/ipmi_silence.c src/drivers/ipmi_state.h \
	src/drivers/noop.c src/drivers/noop.h
