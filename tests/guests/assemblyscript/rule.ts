// The conformance rule in AssemblyScript (rules.md 12).

import {
  asciiLower, contract, Described, Entry, error, fail, failAt, Flows, now, refuse, skip, Value,
  Verdict,
} from "./kakehi";

const PLACES: StaticArray<i32> = [
  3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15,
];

export function describe(config: string): Described {
  if (config != "{}") return refuse("unknown configuration");
  const described = contract(
    [
      "dn", "givenName", "mail", "manager", "objectGUID", "sAMAccountName", "sn", "thumbnailPhoto",
      "uidNumber", "userAccountControl",
    ],
    [
      "externalId", "userName", "name.givenName", "name.familyName", "displayName", "emails.value",
      "active", "photo", "manager", "uidNumber", "nickName", "employeeNumber", "evaluatedAt",
    ],
  );
  described.readsImported = ["nickName"];
  described.parameters = ["Domain.FQDN"];
  described.volatile = true;
  return described;
}

export function apply(entry: Entry): Verdict {
  const account = entry.text("sAMAccountName");
  if (account === null) return fail("sAMAccountName is missing");
  if (account.endsWith("$")) return skip("computer account");
  const id = entry.binary("objectGUID");
  if (id === null) {
    error("objectGUID is missing");
    return failAt("objectGUID", "objectGUID is missing");
  }
  const mail = entry.text("mail");
  const control = entry.int("userAccountControl");
  const given = entry.values("givenName");
  const flows = new Flows();
  flows.setText("externalId", guid(id));
  flows.setText("userName", asciiLower(account) + "@" + orEmpty(entry.param("Domain.FQDN")));
  flows.setAll("name.givenName", given);
  flows.setAll("name.familyName", entry.values("sn"));
  flows.setText("displayName", orEmpty(entry.text("sn")) + " " + orEmpty(entry.text("givenName")));
  flows.setText("emails.value", mail !== null ? asciiLower(mail) : null);
  flows.set("active", Value.boolean(((control !== null ? control.value : 0) & 2) == 0));
  flows.setAll("photo", entry.values("thumbnailPhoto"));
  flows.setAll("manager", entry.values("manager"));
  flows.setAll("uidNumber", entry.values("uidNumber"));
  if (entry.confirmed("nickName").length) flows.keep("nickName");
  else flows.setAll("nickName", given);
  flows.block("employeeNumber");
  flows.set("evaluatedAt", Value.integer(now()));
  return flows.verdict();
}

function orEmpty(text: string | null): string {
  return text !== null ? text : "";
}

function guid(id: Value): string {
  let text = "";
  for (let i = 0; i < PLACES.length; i++) {
    text += PLACES[i] < 0 ? "-" : id.byte(PLACES[i]).toString(16).padStart(2, "0");
  }
  return text;
}
