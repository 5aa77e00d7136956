"""The conformance rule in Python (rules.md 12)."""

import uuid

import kakehi


class WitWorld(kakehi.Rule):
    def describe(self, config):
        if config != "{}":
            kakehi.refuse("unknown configuration")
        return kakehi.contract(
            reads=[
                "dn",
                "givenName",
                "mail",
                "manager",
                "objectGUID",
                "sAMAccountName",
                "sn",
                "thumbnailPhoto",
                "uidNumber",
                "userAccountControl",
            ],
            reads_imported=["nickName"],
            parameters=["Domain.FQDN"],
            writes=[
                "externalId",
                "userName",
                "name.givenName",
                "name.familyName",
                "displayName",
                "emails.value",
                "active",
                "photo",
                "manager",
                "uidNumber",
                "nickName",
                "employeeNumber",
                "evaluatedAt",
            ],
            volatile=True,
        )

    def apply(self, entry):
        account = kakehi.text(entry, "sAMAccountName")
        if account is None:
            return kakehi.fail("sAMAccountName is missing")
        if account.endswith("$"):
            return kakehi.skip("computer account")
        guid = kakehi.binary(entry, "objectGUID")
        if guid is None:
            kakehi.error("objectGUID is missing")
            return kakehi.fail_at("objectGUID", "objectGUID is missing")

        user = f"{kakehi.ascii_lower(account)}@{kakehi.param(entry, 'Domain.FQDN') or ''}"
        family = kakehi.text(entry, "sn") or ""
        given = kakehi.text(entry, "givenName") or ""
        mail = kakehi.text(entry, "mail")
        disabled = (kakehi.integer(entry, "userAccountControl") or 0) & 2 != 0
        return kakehi.flow(
            kakehi.set("externalId", str(uuid.UUID(bytes_le=guid))),
            kakehi.set("userName", user),
            kakehi.set("name.givenName", *kakehi.values(entry, "givenName")),
            kakehi.set("name.familyName", *kakehi.values(entry, "sn")),
            kakehi.set("displayName", f"{family} {given}"),
            kakehi.set("emails.value", mail and kakehi.ascii_lower(mail)),
            kakehi.set("active", not disabled),
            kakehi.set("photo", *kakehi.values(entry, "thumbnailPhoto")),
            kakehi.set("manager", *kakehi.values(entry, "manager")),
            kakehi.set("uidNumber", *kakehi.values(entry, "uidNumber")),
            kakehi.keep("nickName")
            if kakehi.confirmed(entry, "nickName")
            else kakehi.set("nickName", *kakehi.values(entry, "givenName")),
            kakehi.block("employeeNumber"),
            kakehi.set("evaluatedAt", kakehi.now()),
        )
