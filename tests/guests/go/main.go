// The conformance rule in Go (rules.md 12).
package main

import (
	"errors"
	"fmt"
	"strings"
)

func describe(config string) (Contract, error) {
	if config != "{}" {
		return Contract{}, errors.New("unknown configuration")
	}
	return Contract{
		Reads: []string{
			"dn", "givenName", "mail", "manager", "objectGUID", "sAMAccountName", "sn",
			"thumbnailPhoto", "uidNumber", "userAccountControl",
		},
		ReadsImported: []string{"nickName"},
		Parameters:    []string{"Domain.FQDN"},
		Writes: []string{
			"externalId", "userName", "name.givenName", "name.familyName", "displayName",
			"emails.value", "active", "photo", "manager", "uidNumber", "nickName",
			"employeeNumber", "evaluatedAt",
		},
		Volatile: true,
	}, nil
}

func apply(entry Entry) Verdict {
	account, ok := entry.Text("sAMAccountName")
	if !ok {
		return Fail("sAMAccountName is missing")
	}
	if strings.HasSuffix(account, "$") {
		return Skip("computer account")
	}
	id := entry.Binary("objectGUID")
	if id == nil {
		Error("objectGUID is missing")
		return FailAt("objectGUID", "objectGUID is missing")
	}
	domain, _ := entry.Param("Domain.FQDN")
	family, _ := entry.Text("sn")
	given, _ := entry.Text("givenName")
	mail, hasMail := entry.Text("mail")
	control, _ := entry.Int("userAccountControl")
	nick := Keep("nickName")
	if len(entry.Confirmed("nickName")) == 0 {
		nick = Set("nickName", entry.Values("givenName")...)
	}
	return Flows(
		Set("externalId", Text(guid(id))),
		Set("userName", Text(AsciiLower(account)+"@"+domain)),
		Set("name.givenName", entry.Values("givenName")...),
		Set("name.familyName", entry.Values("sn")...),
		Set("displayName", Text(family+" "+given)),
		SetText("emails.value", AsciiLower(mail), hasMail),
		Set("active", Boolean(control&2 == 0)),
		Set("photo", entry.Values("thumbnailPhoto")...),
		Set("manager", entry.Values("manager")...),
		Set("uidNumber", entry.Values("uidNumber")...),
		nick,
		Block("employeeNumber"),
		Set("evaluatedAt", Integer(Now())),
	)
}

func guid(b []byte) string {
	return fmt.Sprintf("%02x%02x%02x%02x-%02x%02x-%02x%02x-%x-%x",
		b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8:10], b[10:16])
}
