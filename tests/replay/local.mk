# SPDX-License-Identifier: GPL-3.0-or-later
# Sessions recorded with BMCs; tests/unit/test_ipmi_replay plays them back. See README.md.
check_PROGRAMS += tests/replay/record
tests_replay_record_SOURCES = tests/replay/record.c tests/replay/recording.c \
	tests/replay/recording.h
tests_replay_record_LDADD = $(NMID_LIBS)
EXTRA_DIST += \
	tests/replay/README.md tests/replay/make.sh \
	tests/replay/bmc_17_refused.txt \
	tests/replay/bmc_17_then_3.txt \
	tests/replay/bmc_1_5.txt \
	tests/replay/bmc_answer_lost.txt \
	tests/replay/bmc_answers_lost.txt \
	tests/replay/bmc_busy.txt \
	tests/replay/bmc_d5.txt \
	tests/replay/bmc_late.txt \
	tests/replay/bmc_no_sel.txt \
	tests/replay/bmc_powered_off.txt \
	tests/replay/bmc_probe_lost.txt \
	tests/replay/bmc_request_lost.txt \
	tests/replay/bmc_request_lost_1_5.txt \
	tests/replay/bmc_resent.txt \
	tests/replay/bmc_sel.txt \
	tests/replay/bmc_sel_1_5.txt \
	tests/replay/bmc_sel_nothing.txt \
	tests/replay/bmc_suite_17.txt \
	tests/replay/bmc_suite_3.txt \
	tests/replay/bmc_unknown_user.txt \
	tests/replay/bmc_wrong_password.txt \
	tests/replay/sim_17_then_3.txt \
	tests/replay/sim_1_5.txt \
	tests/replay/sim_powered_off.txt \
	tests/replay/sim_powered_off_1_5.txt \
	tests/replay/sim_probe.txt \
	tests/replay/sim_sel.txt \
	tests/replay/sim_sel_1_5.txt \
	tests/replay/sim_suite_3.txt \
	tests/replay/sim_unknown_user.txt \
	tests/replay/sim_unknown_user_1_5.txt \
	tests/replay/sim_wrong_password.txt \
	tests/replay/sim_wrong_password_1_5.txt
