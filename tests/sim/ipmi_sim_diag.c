/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A module for OpenIPMI's ipmi_sim, whose own Chassis Control has no diagnostic interrupt: it wraps
 * that handler, counts value 4, writes it into the System Event Log and hands it to the virtual
 * machine, if one is attached.
 *
 * lan.conf: loadlib "/path/ipmi_sim_diag.so" "lan:/path/nmi.count"   a BMC without a machine: the
 *               module is the machine's power, which starts on
 *           loadlib "/path/ipmi_sim_diag.so" "vm:/path/nmi.count"    power is the machine's own
 * The file always holds the number of interrupts since the start, in decimal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <OpenIPMI/ipmi_msgbits.h>
#include <OpenIPMI/serv.h>
#include <OpenIPMI/mcserv.h>

#define DIAGNOSTIC_INTERRUPT 4
#define MCS                  256
#define CC_PRESENT_STATE     0xd5

/* ipmi_sim's table and its System Event Log; exported, but in no header that is installed. */
extern cmd_handler_f chassis_netfn_handlers[256];
int ipmi_mc_add_to_sel(lmc_data_t *mc, unsigned char record_type, unsigned char event[13],
                       unsigned int *recid);

int ipmi_sim_module_print_version(sys_data_t *sys, char *options);
int ipmi_sim_module_init(sys_data_t *sys, const char *options);

static sys_data_t *system_data;
static cmd_handler_f stock_control, stock_status;
static char *count_path;
static unsigned long count;
static int is_lan;
static unsigned char powered_off[MCS], adopted[MCS];

static int count_write(void)
{
    char path[4096];
    FILE *file;
    int failed;

    if (snprintf(path, sizeof(path), "%s.new", count_path) >= (int)sizeof(path))
        return ENAMETOOLONG;
    file = fopen(path, "w");
    if (!file)
        return errno;
    failed = fprintf(file, "%lu\n", count) < 0;
    failed |= fclose(file) != 0;
    return failed || rename(path, count_path) != 0 ? EIO : 0;
}

static int power_set(lmc_data_t *mc, int op, unsigned char *value, void *data)
{
    (void)mc;
    if (op == CHASSIS_CONTROL_POWER)
        *(unsigned char *)data = !*value;
    else if (op == CHASSIS_CONTROL_GRACEFUL_SHUTDOWN)
        *(unsigned char *)data = 1;
    else if (op != CHASSIS_CONTROL_RESET)
        return ENOTSUP;
    return 0;
}

static int power_get(lmc_data_t *mc, int op, unsigned char *value, void *data)
{
    (void)mc;
    if (op != CHASSIS_CONTROL_POWER)
        return ENOTSUP;
    *value = !*(unsigned char *)data;
    return 0;
}

/* A system event of sensor type 13h, offset 0: front panel NMI, diagnostic interrupt. The record's
 * first four bytes, its time, are ipmi_sim's. A log that is full, or none, is no error. */
static void event_log(lmc_data_t *mc)
{
    unsigned char event[13] = {0, 0, 0, 0, 0x20, 0, 0x04, 0x13, 0x13, 0x6f, 0, 0xff, 0xff};
    unsigned int id;

    ipmi_mc_add_to_sel(mc, 0x02, event, &id);
}

/* MCs come with the command file, after this module: each is adopted when it is first asked. */
static void power_adopt(lmc_data_t *mc)
{
    unsigned char ipmb = system_data->mc_get_ipmb(mc);

    if (!is_lan || adopted[ipmb])
        return;
    adopted[ipmb] = 1;
    ipmi_mc_set_chassis_control_func(mc, power_set, power_get, &powered_off[ipmb]);
}

static void handle_status(lmc_data_t *mc, msg_t *msg, unsigned char *rdata, unsigned int *rdata_len,
                          void *cb_data)
{
    power_adopt(mc);
    stock_status(mc, msg, rdata, rdata_len, cb_data);
}

static void handle_control(lmc_data_t *mc, msg_t *msg, unsigned char *rdata,
                           unsigned int *rdata_len, void *cb_data)
{
    unsigned char status[36];
    unsigned int status_len = sizeof(status);
    channel_t *machine = system_data->mc_get_channelset(mc)[15];

    power_adopt(mc);
    if (msg->len < 1 || (msg->data[0] & 0xf) != DIAGNOSTIC_INTERRUPT) {
        stock_control(mc, msg, rdata, rdata_len, cb_data);
        return;
    }
    *rdata_len = 1;
    stock_status(mc, msg, status, &status_len, cb_data);
    if (status[0] != 0 || !(status[1] & 1)) {
        rdata[0] = CC_PRESENT_STATE;
        return;
    }
    count++;
    if (count_write() != 0) /* a count that nobody can read must not pass for none */
        abort();
    event_log(mc);
    if (machine && machine->hw_op && HW_OP_CAN_NMI(machine))
        machine->hw_op(machine, HW_OP_SEND_NMI);
    rdata[0] = 0;
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *options)
{
    (void)sys;
    (void)options;
    printf("nmid diagnostic interrupt module\n");
    return 0;
}

int ipmi_sim_module_init(sys_data_t *sys, const char *options)
{
    const char *path = options ? strchr(options, ':') : NULL;

    is_lan = path && !strncmp(options, "lan:", 4);
    if (!path || (!is_lan && strncmp(options, "vm:", 3) != 0)) {
        fprintf(stderr, "ipmi_sim_diag: options are lan:FILE or vm:FILE\n");
        return EINVAL;
    }
    count_path = strdup(path + 1);
    if (!count_path)
        return ENOMEM;
    system_data = sys;
    stock_status = chassis_netfn_handlers[IPMI_GET_CHASSIS_STATUS_CMD];
    stock_control = chassis_netfn_handlers[IPMI_CHASSIS_CONTROL_CMD];
    chassis_netfn_handlers[IPMI_GET_CHASSIS_STATUS_CMD] = handle_status;
    chassis_netfn_handlers[IPMI_CHASSIS_CONTROL_CMD] = handle_control;
    return count_write();
}
