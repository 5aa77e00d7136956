"""Display name and mail address of a person, from an Active Directory account."""

import kakehi


class WitWorld(kakehi.Rule):
    def describe(self, config):
        if config != "{}":
            kakehi.refuse("this rule takes no configuration")
        return kakehi.contract(
            reads=["givenName", "mail", "sAMAccountName", "sn"],
            writes=["displayName", "mail"],
        )

    def apply(self, entry):
        account = kakehi.text(entry, "sAMAccountName")
        if account is None:
            return kakehi.fail_at("sAMAccountName", "sAMAccountName is missing")
        if account.endswith("$"):
            return kakehi.skip("computer account")

        names = [kakehi.text(entry, "sn"), kakehi.text(entry, "givenName")]
        name = " ".join(part for part in names if part is not None)
        mail = kakehi.text(entry, "mail")
        return kakehi.flow(
            kakehi.set("displayName", name or kakehi.ascii_lower(account)),
            kakehi.set("mail", mail and kakehi.ascii_lower(mail)),
        )
