/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A node in the words of Nova 26 for a server. What nmid does not know is what Nova says where
 * there is none: an empty text, an empty list, null; nothing is made up, no date either. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "contracts/body.h"
#include "contracts/nova_state.h"

#define HREF_TEXT (UUID_TEXT + 32)

static const struct {
    const char *status, *vm_state;
} words[NODE_STATUSES] = {
    [NODE_ACTIVE] = {"ACTIVE", "active"},
    [NODE_BUILD] = {"BUILD", "building"},
    [NODE_ERROR] = {"ERROR", "error"},
    [NODE_PAUSED] = {"PAUSED", "paused"},
    [NODE_RESCUED] = {"RESCUE", "rescued"},
    [NODE_RESIZED] = {"VERIFY_RESIZE", "resized"},
    [NODE_SHELVED] = {"SHELVED", "shelved"},
    [NODE_SHELVED_OFFLOADED] = {"SHELVED_OFFLOADED", "shelved_offloaded"},
    [NODE_SHUTOFF] = {"SHUTOFF", "stopped"},
    [NODE_SUSPENDED] = {"SUSPENDED", "suspended"},
    [NODE_SOFT_DELETED] = {"SOFT_DELETED", "soft-delete"},
    [NODE_DELETED] = {"DELETED", "deleted"},
    [NODE_UNKNOWN] = {"UNKNOWN", "unknown"},
};

unsigned nova_statuses(const char *status)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < NODE_STATUSES; i++) {
        if (strcasecmp(words[i].status, status) == 0)
            bits |= NODE_STATUS_BIT(i);
    }
    return bits;
}

const char *nova_server_id(const struct nova_server *server)
{
    return server->state.instance_uuid != NULL ? server->state.instance_uuid : server->node->uuid;
}

static const char *project_of(const struct nova_server *server)
{
    const char *owner = server->state.owners.project_ids[0];
    return owner != NULL ? owner : "";
}

const char *nova_server_field(const struct nova_server *server, const char *name)
{
    if (strcmp(name, "display_name") == 0 || strcmp(name, "name") == 0)
        return node_label(server->node);
    if (strcmp(name, "uuid") == 0)
        return nova_server_id(server);
    if (strcmp(name, "node") == 0)
        return server->node->uuid;
    if (strcmp(name, "vm_state") == 0)
        return words[server->state.status].vm_state;
    if (strcmp(name, "project_id") == 0 || strcmp(name, "tenant_id") == 0)
        return project_of(server);
    return NULL;
}

/* Seen from the host's root, as the links of discovery are: only a proxy knows the rest. */
static json_t *links_of(const struct nova_server *server)
{
    char self[HREF_TEXT], bookmark[HREF_TEXT];
    snprintf(self, sizeof self, "/v2.1/servers/%s", nova_server_id(server));
    snprintf(bookmark, sizeof bookmark, "/servers/%s", nova_server_id(server));
    return json_pack("[{s:s, s:s}, {s:s, s:s}]", "rel", "self", "href", self, "rel", "bookmark",
                     "href", bookmark);
}

json_t *nova_server_brief(const struct nova_server *server)
{
    return json_pack("{s:s, s:o, s:o}", "id", nova_server_id(server), "name",
                     body_text(node_label(server->node)), "links", links_of(server));
}

/* A client looks a flavor up by its id, or (from 2.47 on) shows what stands here. There is none. */
static json_t *flavor_of(const struct microversion *version)
{
    if (version->minor < 47)
        return json_pack("{s:s, s:[]}", "id", "baremetal", "links");
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:{}}", "original_name", "baremetal", "vcpus",
                     0, "ram", 0, "disk", 0, "ephemeral", 0, "swap", 0, "extra_specs");
}

/* What came with the later versions. */
static json_t *newer_fields(const struct nova_server *server, const struct microversion *version,
                            bool administrator)
{
    json_t *fields = json_object();
    if (version->minor >= 9)
        json_object_set_new(fields, "locked", json_boolean(server->state.locked));
    if (version->minor >= 19)
        json_object_set_new(fields, "description", json_null());
    if (version->minor >= 26)
        json_object_set_new(fields, "tags", json_array());
    if (version->minor >= 63)
        json_object_set_new(fields, "trusted_image_certificates", json_null());
    if (version->minor >= 71)
        json_object_set_new(fields, "server_groups", json_array());
    if (version->minor >= 73)
        json_object_set_new(fields, "locked_reason", json_null());
    if (version->minor >= (administrator ? 3 : 90))
        json_object_set_new(fields, "OS-EXT-SRV-ATTR:hostname",
                            body_text(node_label(server->node)));
    /* With Ironic below it, Nova's hypervisor is the node. */
    if (administrator)
        json_object_update_new(
            fields, json_pack("{s:n, s:n, s:s}", "OS-EXT-SRV-ATTR:host",
                              "OS-EXT-SRV-ATTR:instance_name",
                              "OS-EXT-SRV-ATTR:hypervisor_hostname", server->node->uuid));
    return fields;
}

json_t *nova_server_json(const struct nova_server *server, const struct microversion *version,
                         bool administrator)
{
    json_t *fields = nova_server_brief(server);
    json_object_update_new(
        fields,
        json_pack("{s:s, s:o, s:s, s:{}, s:s, s:s, s:o, s:n, s:n, s:{}, s:s, s:s, s:s}", "status",
                  words[server->state.status].status, "tenant_id", body_text(project_of(server)),
                  "user_id", "", "metadata", "hostId", "", "image", "", "flavor",
                  flavor_of(version), "created", "updated", "addresses", "accessIPv4", "",
                  "accessIPv6", "", "OS-DCF:diskConfig", "MANUAL"));
    json_object_update_new(
        fields, json_pack("{s:s, s:s, s:n, s:n, s:n, s:n, s:s, s:i, s:[]}",
                          "OS-EXT-AZ:availability_zone", "", "config_drive", "", "key_name",
                          "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at",
                          "OS-EXT-STS:task_state", "OS-EXT-STS:vm_state",
                          words[server->state.status].vm_state, "OS-EXT-STS:power_state", 0,
                          "os-extended-volumes:volumes_attached"));
    json_object_update_new(fields, newer_fields(server, version, administrator));
    return fields;
}
