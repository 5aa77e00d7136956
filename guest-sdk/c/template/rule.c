/* Display name and mail address of a person, from an Active Directory account. */
#include "kakehi.h"

k_described k_describe(k_str config) {
  if (!k_equal(config, K("{}"))) return k_refuse(K("this rule takes no configuration"));
  return k_accept((k_contract){
      .reads = K_NAMES("givenName", "mail", "sAMAccountName", "sn"),
      .writes = K_NAMES("displayName", "mail"),
  });
}

k_verdict k_apply(const k_entry *entry) {
  k_str account = k_text(entry, "sAMAccountName");
  if (!account.ptr) return k_fail_at("sAMAccountName", K("sAMAccountName is missing"));
  if (k_ends_with(account, K("$"))) return k_skip(K("computer account"));

  k_str family = k_text(entry, "sn"), given = k_text(entry, "givenName");
  k_str name = !family.ptr ? given : !given.ptr ? family : k_join(family, K(" "), given);
  k_flows flows = {0};
  k_set_text(&flows, "displayName", name.ptr ? name : k_ascii_lower(account));
  k_set_text(&flows, "mail", k_ascii_lower(k_text(entry, "mail")));
  return k_flow(&flows);
}
