/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of the simulated BMC (IPMI 2.0: 20.1, 20.8, 22.13 to 22.19, 28.2, 28.3): a table of
 * number, privilege and function. A function fills in the data behind the completion code. */
#include "command.h"
#include "sim.h"
#include "wire.h"

enum control { POWER_DOWN, POWER_UP, POWER_CYCLE, HARD_RESET, DIAGNOSTIC_INTERRUPT, SOFT_SHUTDOWN };

static uint8_t get_device_id(struct call *call)
{
    uint8_t ipmi = call->bmc->settings.version == VERSION_15 ? 0x51 : 0x02;

    memcpy(call->out, (uint8_t[]){0x20, 0x81, 0x01, 0x00, ipmi, 0xbf, 0, 0, 0, 1, 0}, 11);
    call->length = 11;
    return CC_OK;
}

static uint8_t get_guid(struct call *call)
{
    memcpy(call->out, call->bmc->guid, 16);
    call->length = 16;
    return CC_OK;
}

static uint8_t get_auth_cap(struct call *call)
{
    const struct settings *set = &call->bmc->settings;
    bool extended = call->in[0] & 0x80 && set->version != VERSION_15;
    uint8_t types = set->version == VERSION_20 ? 0 : (uint8_t)set->auth_types;

    call->out[0] = 1;
    call->out[1] = (uint8_t)(types | (extended ? 0x80 : 0));
    call->out[2] = (uint8_t)((set->has_kg ? 0x20 : 0) | (*set->user ? 0x04 : 0x02));
    call->out[3] = extended ? (uint8_t)(0x02 | (set->version == VERSION_BOTH ? 0x01 : 0)) : 0;
    memset(call->out + 4, 0, 4);
    call->length = 8;
    return CC_OK;
}

/* Records of 5 bytes, 16 bytes a call (22.15.2). */
static uint8_t get_cipher_suites(struct call *call)
{
    uint8_t records[5 * 8], *p = records;
    size_t from = (call->in[2] & 0x3fU) * 16, n;

    if (call->bmc->settings.version == VERSION_15)
        return CC_INVALID;
    for (size_t i = 0; i < suites_count; i++)
        if (call->bmc->settings.suites & 1U << suites[i].id)
            p = put(p,
                    (uint8_t[]){0xc0, suites[i].id, suites[i].auth, 0x40 | suites[i].integrity,
                                0x80 | suites[i].confidentiality},
                    5);
    n = (size_t)(p - records);
    n = from >= n ? 0 : n - from < 16 ? n - from : 16;
    call->out[0] = 1;
    memcpy(call->out + 1, records + (n ? from : 0), n);
    call->length = 1 + n;
    return CC_OK;
}

static uint8_t get_challenge(struct call *call)
{
    const struct settings *set = &call->bmc->settings;
    uint8_t user[16] = {0};
    struct session *session;

    memcpy(user, set->user, strlen(set->user));
    if (set->version == VERSION_20 || call->in[0] > 4 || !(set->auth_types & 1U << call->in[0]))
        return CC_FIELD;
    if (memcmp(call->in + 1, user, sizeof(user)) != 0) {
        call->bmc->counters.auth_failures++;
        return 0x81;
    }
    session = session_new(call->bmc, false);
    if (!session)
        return 0xc0;
    session->state = STATE_CHALLENGED;
    session->auth_type = call->in[0];
    random_bytes(session->random, 16);
    le32_put(call->out, session->id);
    memcpy(call->out + 4, session->random, 16);
    call->length = 20;
    return CC_OK;
}

static uint8_t activate(struct call *call)
{
    struct session *session = call->session;
    uint8_t level = call->in[1] & 0xf;

    if (session->plus || call->in[0] != session->auth_type ||
        memcmp(call->in + 2, session->random, 16) != 0)
        return 0x85;
    if (le32(call->in + 18) == 0)
        return 0x84;
    if (level == 0 || level > call->bmc->settings.privilege)
        return 0x86;
    if (session->state == STATE_CHALLENGED) {
        if (sessions_active(call->bmc) >= (unsigned)call->bmc->settings.session_limit)
            return 0x81;
        call->bmc->counters.sessions_opened++;
        random_bytes(&session->seq_highest, 4);
        session->seq_highest >>= 1; /* far from the end of the numbers */
        session->seq_seen = UINT32_MAX;
        session->seq_out = le32(call->in + 18);
        session->limit = level;
        session->privilege = level < USER ? level : USER;
        session->state = STATE_ACTIVE;
    }
    call->out[0] = session->auth_type;
    le32_put(call->out + 1, session->id);
    le32_put(call->out + 5, session->seq_highest + 1);
    call->out[9] = session->limit;
    call->length = 10;
    return CC_OK;
}

static uint8_t set_privilege(struct call *call)
{
    int32_t forced = call->bmc->settings.privilege_completion;
    uint8_t level = call->in[0] & 0xf;

    if (forced > 0)
        return (uint8_t)forced;
    if (level > call->session->limit || level == 1)
        return 0x81;
    if (level != 0)
        call->session->privilege = level;
    call->out[0] = call->session->privilege;
    call->length = 1;
    return CC_OK;
}

static uint8_t close_session(struct call *call)
{
    if (le32(call->in) != call->session->id)
        return 0x87;
    call->session->state = STATE_CLOSING; /* its keys are needed for the answer */
    call->bmc->counters.sessions_closed++;
    return CC_OK;
}

static uint8_t get_chassis_status(struct call *call)
{
    if (call->bmc->settings.status_completion > 0)
        return (uint8_t)call->bmc->settings.status_completion;
    memcpy(call->out, (uint8_t[]){call->bmc->settings.power ? 0x21 : 0x20, 0, 0}, 3);
    call->length = 3;
    return CC_OK;
}

static void interrupt(struct bmc *bmc)
{
    bmc->executions[bmc->counters.nmi++ % EXECUTIONS_MAX] = wall_us();
    sel_interrupted(bmc);
}

static uint8_t control_execute(struct bmc *bmc, uint8_t control)
{
    if (control > SOFT_SHUTDOWN)
        return CC_FIELD;
    if (!bmc->settings.power && control != POWER_DOWN && control != POWER_UP)
        return CC_STATE;
    bmc->counters.executed[control]++;
    if (control == DIAGNOSTIC_INTERRUPT)
        interrupt(bmc);
    else if (control == POWER_UP)
        bmc->settings.power = true;
    else if (control == POWER_DOWN || control == SOFT_SHUTDOWN)
        bmc->settings.power = false;
    return CC_OK;
}

static uint8_t chassis_control(struct call *call)
{
    const struct settings *set = &call->bmc->settings;
    uint8_t code = CC_OK;

    if (set->completion <= 0 || set->completion_executes)
        code = control_execute(call->bmc, call->in[0] & 0xf);
    return code == CC_OK && set->completion > 0 ? (uint8_t)set->completion : code;
}

static const struct command {
    uint8_t netfn, cmd, privilege;
    enum kind kind;
    size_t length; /* at least */
    uint8_t (*run)(struct call *call);
} commands[] = {
    {APP, 0x01, USER, KIND_OTHER, 0, get_device_id},
    {APP, 0x08, USER, KIND_OTHER, 0, get_guid},
    {APP, 0x37, OUTSIDE, KIND_OTHER, 0, get_guid},
    {APP, 0x38, OUTSIDE, KIND_AUTH_CAP, 2, get_auth_cap},
    {APP, 0x54, OUTSIDE, KIND_SUITES, 3, get_cipher_suites},
    {APP, 0x39, OUTSIDE, KIND_CHALLENGE, 17, get_challenge},
    {APP, 0x3a, 1, KIND_ACTIVATE, 22, activate},
    {APP, 0x3b, 1, KIND_PRIVILEGE, 1, set_privilege},
    {APP, 0x3c, 1, KIND_CLOSE, 4, close_session},
    {CHASSIS, 0x01, USER, KIND_STATUS, 0, get_chassis_status},
    {CHASSIS, 0x02, OPERATOR, KIND_CONTROL, 1, chassis_control},
    {STORAGE, 0x40, USER, KIND_SEL, 0, get_sel_info},
    {STORAGE, 0x42, USER, KIND_SEL, 0, reserve_sel},
    {STORAGE, 0x43, USER, KIND_SEL, 6, get_sel_entry},
    {STORAGE, 0x47, OPERATOR, KIND_SEL, 6, erase_sel},
    {STORAGE, 0x48, USER, KIND_SEL, 0, get_sel_time},
};

static const struct command *command_find(uint8_t netfn, uint8_t cmd)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (commands[i].netfn == netfn && commands[i].cmd == cmd)
            return &commands[i];
    return NULL;
}

enum kind command_kind(uint8_t netfn, uint8_t cmd)
{
    const struct command *command = command_find(netfn, cmd);

    return command ? command->kind : KIND_OTHER;
}

/* Returns the completion code; on another than 00 there is no data. */
uint8_t command_run(const struct request *request, uint8_t *data, size_t *length)
{
    const struct command *command = command_find(request->netfn, request->cmd);
    struct call call = {
        .request = request,
        .bmc = request->bmc,
        .session = request->session_id ? session_find(request->bmc, request->session_id) : NULL,
        .in = request->data,
        .out = data,
    };
    uint8_t code;

    *length = 0;
    if (!command)
        return CC_INVALID;
    if (request->length > REQUEST_DATA_MAX)
        return CC_TOO_LONG;
    if (request->length < command->length)
        return CC_LENGTH;
    if (command->kind == KIND_ACTIVATE ? !call.session : request->privilege < command->privilege)
        return CC_PRIVILEGE;
    code = command->run(&call);
    *length = code == CC_OK ? call.length : 0;
    return code;
}
