// Display name and mail address of a person, from an Active Directory account.
package main

import (
	"errors"
	"strings"
)

func describe(config string) (Contract, error) {
	if config != "{}" {
		return Contract{}, errors.New("this rule takes no configuration")
	}
	return Contract{
		Reads:  []string{"givenName", "mail", "sAMAccountName", "sn"},
		Writes: []string{"displayName", "mail"},
	}, nil
}

func apply(entry Entry) Verdict {
	account, ok := entry.Text("sAMAccountName")
	if !ok {
		return FailAt("sAMAccountName", "sAMAccountName is missing")
	}
	if strings.HasSuffix(account, "$") {
		return Skip("computer account")
	}
	name, ok := displayName(entry)
	if !ok {
		name = AsciiLower(account)
	}
	mail, hasMail := entry.Text("mail")
	return Flows(
		Set("displayName", Text(name)),
		SetText("mail", AsciiLower(mail), hasMail),
	)
}

func displayName(entry Entry) (string, bool) {
	family, hasFamily := entry.Text("sn")
	given, hasGiven := entry.Text("givenName")
	if hasFamily && hasGiven {
		return family + " " + given, true
	}
	return family + given, hasFamily || hasGiven
}
