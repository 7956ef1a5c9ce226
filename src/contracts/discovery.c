/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "contracts/discovery.h"

#include "contracts/ironic_version.h"
#include "contracts/microversion.h"
#include "contracts/nova.h"

static json_t *links_to(const char *href)
{
    return json_pack("[{s:s, s:s}]", "rel", "self", "href", href);
}

json_t *discovery_nova(const char *href)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "id", "v2.1", "status", "CURRENT", "version",
                     MICROVERSION_MAXIMUM, "min_version", MICROVERSION_MINIMUM, "updated",
                     "2013-07-23T11:33:21Z", "links", links_to(href));
}

static json_t *ironic_version(const char *href)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", "v1", "status", "CURRENT", "version",
                     IRONIC_VERSION_MAXIMUM, "min_version", IRONIC_VERSION_MINIMUM, "links",
                     links_to(href));
}

/* A catalogue names Ironic's endpoint without a version and Nova's with /v2.1, so this is above all
 * where Ironic's clients look for theirs. keystoneauth takes the highest stable one, whatever the
 * service: openstacksdk and nova-compute's driver would go to /v2.1/nodes. Hence Nova's is listed
 * here, for people and `nova version-list`, with a status that keystoneauth passes over; in its own
 * document, at /v2.1/, it is CURRENT. */
static void on_root(void *self, struct http_exchange *exchange)
{
    (void)self;
    json_t *nova = discovery_nova("v2.1/");
    json_object_set_new(nova, "status", json_string("EXPERIMENTAL"));
    http_answer(exchange, 200,
                json_pack("{s:s, s:s, s:[o, o], s:o}", "name", "nmid", "description",
                          "Injects non-maskable interrupts; speaks Nova's server action and "
                          "Ironic's node management.",
                          "versions", ironic_version("v1/"), nova,
                          "default_version", ironic_version("v1/")));
}

static const struct http_route routes[] = {
    {"GET", "/", on_root, HTTP_OPEN},
    {NULL, NULL, NULL, HTTP_USUAL},
};

static void answer_error(void *self, struct http_exchange *exchange, unsigned status,
                         const struct fault *fault)
{
    (void)self;
    nova_contract.error(NULL, exchange, status, fault);
}

const struct http_contract discovery_contract = {
    .name = "discovery",
    .prefix = "/",
    .routes = routes,
    .error = answer_error,
};
