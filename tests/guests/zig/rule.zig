//! The conformance rule in Zig (rules.md 12).

const std = @import("std");
const kakehi = @import("kakehi.zig");

comptime {
    kakehi.exportRule(@This());
}

pub fn describe(config: []const u8) !kakehi.Contract {
    if (!std.mem.eql(u8, config, "{}")) return error.@"unknown configuration";
    return .{
        .reads = &.{
            "dn",             "givenName", "mail",           "manager",   "objectGUID",
            "sAMAccountName", "sn",        "thumbnailPhoto", "uidNumber", "userAccountControl",
        },
        .reads_imported = &.{"nickName"},
        .parameters = &.{"Domain.FQDN"},
        .writes = &.{
            "externalId",   "userName",       "name.givenName", "name.familyName", "displayName",
            "emails.value", "active",         "photo",          "manager",         "uidNumber",
            "nickName",     "employeeNumber", "evaluatedAt",
        },
        .is_volatile = true,
    };
}

pub fn apply(entry: kakehi.Entry) !kakehi.Verdict {
    const account = try entry.text("sAMAccountName") orelse
        return .{ .fail = .{ .message = "sAMAccountName is missing" } };
    if (std.mem.endsWith(u8, account, "$")) return .{ .skip = "computer account" };
    const id = entry.binary("objectGUID") orelse {
        kakehi.err("objectGUID is missing");
        return .{ .fail = .{ .attribute = "objectGUID", .message = "objectGUID is missing" } };
    };
    const user = &.{ try kakehi.asciiLower(account), "@", entry.param("Domain.FQDN") orelse "" };
    const family = try entry.text("sn") orelse "";
    const given = try entry.text("givenName") orelse "";
    const mail = if (try entry.text("mail")) |mail| try kakehi.asciiLower(mail) else null;
    const disabled = (entry.int("userAccountControl") orelse 0) & 2 != 0;
    return kakehi.flow(&.{
        try kakehi.setText("externalId", try guid(id)),
        try kakehi.setText("userName", try kakehi.join(user)),
        kakehi.set("name.givenName", entry.values("givenName")),
        kakehi.set("name.familyName", entry.values("sn")),
        try kakehi.setText("displayName", try kakehi.join(&.{ family, " ", given })),
        try kakehi.setText("emails.value", mail),
        try kakehi.setOne("active", .boolean(!disabled)),
        kakehi.set("photo", entry.values("thumbnailPhoto")),
        kakehi.set("manager", entry.values("manager")),
        kakehi.set("uidNumber", entry.values("uidNumber")),
        if (entry.confirmed("nickName").len > 0)
            kakehi.keep("nickName")
        else
            kakehi.set("nickName", entry.values("givenName")),
        kakehi.block("employeeNumber"),
        try kakehi.setOne("evaluatedAt", .integer(kakehi.now())),
    });
}

fn guid(b: []const u8) ![]const u8 {
    const places = [_]i8{ 3, 2, 1, 0, -1, 5, 4, -1, 7, 6, -1, 8, 9, -1, 10, 11, 12, 13, 14, 15 };
    const digits = "0123456789abcdef";
    const out = try kakehi.allocator().alloc(u8, 36);
    var next: usize = 0;
    for (places) |place| {
        if (place < 0) {
            out[next] = '-';
            next += 1;
        } else {
            const byte = b[@intCast(place)];
            out[next] = digits[byte >> 4];
            out[next + 1] = digits[byte & 15];
            next += 2;
        }
    }
    return out;
}
