// The conformance rule in JavaScript (rules.md 12).

import {
  asciiLower, binary, block, confirmed, contract, error, fail, failAt, flow, int, keep, now, param,
  refuse, set, skip, text, values,
} from "./kakehi.js";

const PLACES = [3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15];

export function describe(config) {
  if (config !== "{}") refuse("unknown configuration");
  return contract(
    [
      "dn", "givenName", "mail", "manager", "objectGUID", "sAMAccountName", "sn", "thumbnailPhoto",
      "uidNumber", "userAccountControl",
    ],
    [
      "externalId", "userName", "name.givenName", "name.familyName", "displayName", "emails.value",
      "active", "photo", "manager", "uidNumber", "nickName", "employeeNumber", "evaluatedAt",
    ],
    { readsImported: ["nickName"], parameters: ["Domain.FQDN"], volatile: true },
  );
}

export function apply(entry) {
  const account = text(entry, "sAMAccountName");
  if (account === undefined) return fail("sAMAccountName is missing");
  if (account.endsWith("$")) return skip("computer account");
  const id = binary(entry, "objectGUID");
  if (id === undefined) {
    error("objectGUID is missing");
    return failAt("objectGUID", "objectGUID is missing");
  }
  const mail = text(entry, "mail");
  const disabled = ((int(entry, "userAccountControl") ?? 0) & 2) !== 0;
  return flow(
    set("externalId", guid(id)),
    set("userName", `${asciiLower(account)}@${param(entry, "Domain.FQDN") ?? ""}`),
    set("name.givenName", values(entry, "givenName")),
    set("name.familyName", values(entry, "sn")),
    set("displayName", `${text(entry, "sn") ?? ""} ${text(entry, "givenName") ?? ""}`),
    set("emails.value", mail && asciiLower(mail)),
    set("active", !disabled),
    set("photo", values(entry, "thumbnailPhoto")),
    set("manager", values(entry, "manager")),
    set("uidNumber", values(entry, "uidNumber")),
    confirmed(entry, "nickName").length
      ? keep("nickName")
      : set("nickName", values(entry, "givenName")),
    block("employeeNumber"),
    set("evaluatedAt", now()),
  );
}

const guid = (id) =>
  PLACES.map((place) => (place < 0 ? "-" : id[place].toString(16).padStart(2, "0"))).join("");
