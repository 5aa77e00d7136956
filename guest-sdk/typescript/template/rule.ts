// Display name and mail address of a person, from an Active Directory account.

import {
  asciiLower, contract, failAt, flow, refuse, set, skip, text,
  type Contract, type Entry, type Verdict,
} from "./kakehi.js";

export function describe(config: string): Contract {
  if (config !== "{}") refuse("this rule takes no configuration");
  return contract(["givenName", "mail", "sAMAccountName", "sn"], ["displayName", "mail"]);
}

export function apply(entry: Entry): Verdict {
  const account = text(entry, "sAMAccountName");
  if (account === undefined) return failAt("sAMAccountName", "sAMAccountName is missing");
  if (account.endsWith("$")) return skip("computer account");

  const names = [text(entry, "sn"), text(entry, "givenName")];
  const name = names.filter((part) => part !== undefined).join(" ");
  const mail = text(entry, "mail");
  return flow(
    set("displayName", name || asciiLower(account)),
    set("mail", mail && asciiLower(mail)),
  );
}
