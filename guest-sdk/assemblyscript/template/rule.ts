// Display name and mail address of a person, from an Active Directory account.

import {
  asciiLower, contract, Described, Entry, failAt, Flows, refuse, skip, Verdict,
} from "./kakehi";

export function describe(config: string): Described {
  if (config != "{}") return refuse("this rule takes no configuration");
  return contract(["givenName", "mail", "sAMAccountName", "sn"], ["displayName", "mail"]);
}

export function apply(entry: Entry): Verdict {
  const account = entry.text("sAMAccountName");
  if (account === null) return failAt("sAMAccountName", "sAMAccountName is missing");
  if (account.endsWith("$")) return skip("computer account");

  const name = displayName(entry);
  const mail = entry.text("mail");
  const flows = new Flows();
  flows.setText("displayName", name !== null ? name : asciiLower(account));
  flows.setText("mail", mail !== null ? asciiLower(mail) : null);
  return flows.verdict();
}

function displayName(entry: Entry): string | null {
  const family = entry.text("sn");
  const given = entry.text("givenName");
  if (family === null) return given;
  return given !== null ? family + " " + given : family;
}
