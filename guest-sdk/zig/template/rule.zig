//! Display name and mail address of a person, from an Active Directory account.

const std = @import("std");
const kakehi = @import("kakehi.zig");

comptime {
    kakehi.exportRule(@This());
}

pub fn describe(config: []const u8) !kakehi.Contract {
    if (!std.mem.eql(u8, config, "{}")) return error.@"this rule takes no configuration";
    return .{
        .reads = &.{ "givenName", "mail", "sAMAccountName", "sn" },
        .writes = &.{ "displayName", "mail" },
    };
}

pub fn apply(entry: kakehi.Entry) !kakehi.Verdict {
    const account = try entry.text("sAMAccountName") orelse return .{
        .fail = .{ .attribute = "sAMAccountName", .message = "sAMAccountName is missing" },
    };
    if (std.mem.endsWith(u8, account, "$")) return .{ .skip = "computer account" };

    const mail = if (try entry.text("mail")) |mail| try kakehi.asciiLower(mail) else null;
    return kakehi.flow(&.{
        try kakehi.setText("displayName", try displayName(entry) orelse try kakehi.asciiLower(account)),
        try kakehi.setText("mail", mail),
    });
}

fn displayName(entry: kakehi.Entry) !?[]const u8 {
    const family = try entry.text("sn") orelse return entry.text("givenName");
    const given = try entry.text("givenName") orelse return family;
    return try kakehi.join(&.{ family, " ", given });
}
