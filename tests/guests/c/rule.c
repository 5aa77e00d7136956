/* The conformance rule in C (rules.md 12). */
#include "kakehi.h"

k_described k_describe(k_str config) {
  if (!k_equal(config, K("{}"))) return k_refuse(K("unknown configuration"));
  return k_accept((k_contract){
      .reads = K_NAMES("dn", "givenName", "mail", "manager", "objectGUID", "sAMAccountName", "sn",
                       "thumbnailPhoto", "uidNumber", "userAccountControl"),
      .reads_imported = K_NAMES("nickName"),
      .parameters = K_NAMES("Domain.FQDN"),
      .writes = K_NAMES("externalId", "userName", "name.givenName", "name.familyName",
                        "displayName", "emails.value", "active", "photo", "manager", "uidNumber",
                        "nickName", "employeeNumber", "evaluatedAt"),
      .is_volatile = 1,
  });
}

static k_str guid(k_str bytes) {
  static const char digits[] = "0123456789abcdef";
  static const signed char places[] = {3, 2, 1, 0, -1, 5, 4, -1, 7, 6,
                                       -1, 8, 9, -1, 10, 11, 12, 13, 14, 15};
  char *out = k_alloc(1, 36), *next = out;
  for (unsigned i = 0; i < sizeof places; i++) {
    if (places[i] < 0) {
      *next++ = '-';
    } else {
      uint8_t byte = (uint8_t)bytes.ptr[places[i]];
      *next++ = digits[byte >> 4];
      *next++ = digits[byte & 15];
    }
  }
  return (k_str){out, 36};
}

k_verdict k_apply(const k_entry *entry) {
  k_str account = k_text(entry, "sAMAccountName");
  if (!account.ptr) return k_fail(K("sAMAccountName is missing"));
  if (k_ends_with(account, K("$"))) return k_skip(K("computer account"));
  k_str id = k_binary(entry, "objectGUID");
  if (!id.ptr) {
    k_log(K_ERROR, K("objectGUID is missing"));
    return k_fail_at("objectGUID", K("objectGUID is missing"));
  }
  int64_t control = 0;
  k_int(entry, "userAccountControl", &control);
  k_str user = k_join(k_ascii_lower(account), K("@"), k_param(entry, "Domain.FQDN"));

  k_flows flows = {0};
  k_set_text(&flows, "externalId", guid(id));
  k_set_text(&flows, "userName", user);
  k_set(&flows, "name.givenName", k_values_of(entry, "givenName"));
  k_set(&flows, "name.familyName", k_values_of(entry, "sn"));
  k_set_text(&flows, "displayName", k_join(k_text(entry, "sn"), K(" "), k_text(entry, "givenName")));
  k_set_text(&flows, "emails.value", k_ascii_lower(k_text(entry, "mail")));
  k_set_flag(&flows, "active", !(control & 2));
  k_set(&flows, "photo", k_values_of(entry, "thumbnailPhoto"));
  k_set(&flows, "manager", k_values_of(entry, "manager"));
  k_set(&flows, "uidNumber", k_values_of(entry, "uidNumber"));
  if (k_confirmed(entry, "nickName").len) k_keep(&flows, "nickName");
  else k_set(&flows, "nickName", k_values_of(entry, "givenName"));
  k_block(&flows, "employeeNumber");
  k_set_int(&flows, "evaluatedAt", k_now());
  return k_flow(&flows);
}
