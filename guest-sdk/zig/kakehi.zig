//! What a rule for Kakehi is written with in Zig: one file, no package.
//!
//! A rule has `pub fn describe([]const u8) !Contract` and `pub fn apply(Entry) !Verdict`, and the
//! line `comptime { kakehi.exportRule(@This()); }`. The extern structs below ARE the canonical ABI
//! of the world `kakehi:rules/rule@0.1.0`, so nothing is converted. Memory is one arena per call:
//! what `allocator()` gives lives until the answer was read. An error of `describe` refuses the
//! configuration, one of `apply` fails the object, each with the name of the error as its text.

const std = @import("std");

// === Types ===

pub const Str = extern struct {
    ptr: [*]const u8,
    len: usize,

    pub fn of(text_: []const u8) Str {
        return .{ .ptr = inside(u8, text_), .len = text_.len };
    }

    pub fn slice(self: Str) []const u8 {
        return if (self.len == 0) "" else self.ptr[0..self.len];
    }
};

pub fn List(comptime T: type) type {
    return extern struct {
        ptr: [*]const T,
        len: usize,

        pub fn of(items: []const T) @This() {
            return .{ .ptr = inside(T, items), .len = items.len };
        }

        pub fn slice(self: @This()) []const T {
            return if (self.len == 0) &.{} else self.ptr[0..self.len];
        }
    };
}

/// An empty slice may point anywhere, but the runtime takes no address outside the memory.
fn inside(comptime T: type, items: []const T) [*]const T {
    return if (items.len == 0) @ptrFromInt(@alignOf(T)) else items.ptr;
}

pub const Value = extern struct {
    tag: enum(u8) { text, binary, integer, boolean, reference },
    as: extern union { str: Str, integer: i64, boolean: bool },

    pub fn text(of: []const u8) Value {
        return .{ .tag = .text, .as = .{ .str = .of(of) } };
    }

    pub fn binary(of: []const u8) Value {
        return .{ .tag = .binary, .as = .{ .str = .of(of) } };
    }

    pub fn reference(of: []const u8) Value {
        return .{ .tag = .reference, .as = .{ .str = .of(of) } };
    }

    pub fn integer(of: i64) Value {
        return .{ .tag = .integer, .as = .{ .integer = of } };
    }

    pub fn boolean(of: bool) Value {
        return .{ .tag = .boolean, .as = .{ .boolean = of } };
    }

    /// The value as a person would write it; null for binary.
    pub fn asText(self: Value) !?[]const u8 {
        return switch (self.tag) {
            .text, .reference => self.as.str.slice(),
            .integer => try std.fmt.allocPrint(allocator(), "{d}", .{self.as.integer}),
            .boolean => if (self.as.boolean) "True" else "False",
            .binary => null,
        };
    }
};

pub const Attribute = extern struct { name: Str, values: List(Value) };
pub const Parameter = extern struct { name: Str, value: Str };

/// One object, as far as the contract lets the rule see it. Names are compared exactly.
pub const Entry = struct {
    class: []const u8,
    attributes: []const Attribute,
    imported: []const Attribute,
    parameters: []const Parameter,

    /// All values of an attribute that `reads` names, in stored order; empty if it is absent.
    pub fn values(self: Entry, name: []const u8) []const Value {
        return find(self.attributes, name);
    }

    /// All values of an attribute that `reads_imported` names: what the connected system confirmed.
    pub fn confirmed(self: Entry, name: []const u8) []const Value {
        return find(self.imported, name);
    }

    /// The first value; null if the attribute is absent.
    pub fn get(self: Entry, name: []const u8) ?Value {
        const all = self.values(name);
        return if (all.len == 0) null else all[0];
    }

    /// The first value as text; null if it is absent or binary.
    pub fn text(self: Entry, name: []const u8) !?[]const u8 {
        return if (self.get(name)) |value| try value.asText() else null;
    }

    /// The first value as a whole number. Directories without a schema show numbers as text, so
    /// text in decimal counts too.
    pub fn int(self: Entry, name: []const u8) ?i64 {
        const value = self.get(name) orelse return null;
        return switch (value.tag) {
            .integer => value.as.integer,
            .text => decimal(value.as.str.slice()),
            else => null,
        };
    }

    /// The first value as a truth value: a Boolean, or true and false as text in any case.
    pub fn flag(self: Entry, name: []const u8) ?bool {
        const value = self.get(name) orelse return null;
        if (value.tag == .boolean) return value.as.boolean;
        if (value.tag != .text) return null;
        if (std.ascii.eqlIgnoreCase(value.as.str.slice(), "true")) return true;
        if (std.ascii.eqlIgnoreCase(value.as.str.slice(), "false")) return false;
        return null;
    }

    /// The first value as bytes; null if it is absent or not binary.
    pub fn binary(self: Entry, name: []const u8) ?[]const u8 {
        const value = self.get(name) orelse return null;
        return if (value.tag == .binary) value.as.str.slice() else null;
    }

    /// A parameter that the contract names.
    pub fn param(self: Entry, name: []const u8) ?[]const u8 {
        for (self.parameters) |parameter| {
            if (std.mem.eql(u8, parameter.name.slice(), name)) return parameter.value.slice();
        }
        return null;
    }

    fn find(attributes: []const Attribute, name: []const u8) []const Value {
        for (attributes) |attribute| {
            if (std.mem.eql(u8, attribute.name.slice(), name)) return attribute.values.slice();
        }
        return &.{};
    }
};

/// Digits with an optional sign, nothing else: `parseInt` would take `1_000` too.
fn decimal(of: []const u8) ?i64 {
    for (of, 0..) |c, i| {
        if (!std.ascii.isDigit(c) and !(i == 0 and (c == '-' or c == '+'))) return null;
    }
    return std.fmt.parseInt(i64, of, 10) catch null;
}

pub const Contract = struct {
    reads: []const []const u8,
    reads_imported: []const []const u8 = &.{},
    parameters: []const []const u8 = &.{},
    writes: []const []const u8,
    /// The answer depends on the time too: the rule may call `now`.
    is_volatile: bool = false,
};

pub const Flow = extern struct {
    attribute: Str,
    what: enum(u8) { values, none, block, keep },
    values: List(Value) = .of(&.{}),
};

pub const Verdict = union(enum) {
    flow: []const Flow,
    /// The object is out of this rule's scope. `explain` shows the reason.
    skip: []const u8,
    /// The object cannot be mapped: it keeps its last good state and is reported.
    fail: struct { attribute: ?[]const u8 = null, message: []const u8 },
};

// === Answering ===

/// These values flow, for example those of an entry; no values mean `none`. They are not copied.
pub fn set(attribute: []const u8, values: []const Value) Flow {
    if (values.len == 0) return none(attribute);
    return .{ .attribute = .of(attribute), .what = .values, .values = .of(values) };
}

/// This one value flows; null means `none`.
pub fn setOne(attribute: []const u8, value: ?Value) !Flow {
    const one = try allocator().alloc(Value, 1);
    one[0] = value orelse return none(attribute);
    return set(attribute, one);
}

/// This text flows; null means `none`.
pub fn setText(attribute: []const u8, text: ?[]const u8) !Flow {
    return setOne(attribute, if (text) |some| Value.text(some) else null);
}

/// Nothing flows: the next rule may contribute; without one the attribute is removed.
pub fn none(attribute: []const u8) Flow {
    return .{ .attribute = .of(attribute), .what = .none };
}

/// Nothing flows, and no rule of lower precedence may contribute either.
pub fn block(attribute: []const u8) Flow {
    return .{ .attribute = .of(attribute), .what = .block };
}

/// As if there were no such flow: a value already there stays.
pub fn keep(attribute: []const u8) Flow {
    return .{ .attribute = .of(attribute), .what = .keep };
}

/// The flows of an answer; the list is copied, so it may be a literal.
pub fn flow(flows: []const Flow) !Verdict {
    return .{ .flow = try allocator().dupe(Flow, flows) };
}

/// A to Z in lower case; all other characters stay.
pub fn asciiLower(text: []const u8) ![]const u8 {
    return std.ascii.allocLowerString(allocator(), text);
}

/// One text of several.
pub fn join(parts: []const []const u8) ![]const u8 {
    return std.mem.concat(allocator(), u8, parts);
}

// === What the runtime offers ===

extern "kakehi:rules/host@0.1.0" fn log(level: u32, ptr: [*]const u8, len: usize) void;

/// The instant of the run in Unix seconds; only for rules whose contract says volatile.
pub extern "kakehi:rules/host@0.1.0" fn now() i64;

/// A line for the author of the rule. It changes no result.
pub fn debug(line: []const u8) void {
    log(0, line.ptr, line.len);
}

pub fn info(line: []const u8) void {
    log(1, line.ptr, line.len);
}

pub fn warn(line: []const u8) void {
    log(2, line.ptr, line.len);
}

pub fn err(line: []const u8) void {
    log(3, line.ptr, line.len);
}

// === Memory ===

var arena: std.heap.ArenaAllocator = .init(std.heap.wasm_allocator);

/// Memory until the end of this call.
pub fn allocator() std.mem.Allocator {
    return arena.allocator();
}

// === Exports ===

const Failure = extern struct { has_attribute: bool, attribute: Str, message: Str };
const VerdictOut = extern struct {
    tag: u8,
    as: extern union { flow: List(Flow), skip: Str, fail: Failure },
};
const ContractOut = extern struct {
    reads: List(Str),
    reads_imported: List(Str),
    parameters: List(Str),
    writes: List(Str),
    is_volatile: bool,
};
const Described = extern struct {
    refused: bool,
    as: extern union { contract: ContractOut, reason: Str },
};

comptime {
    std.debug.assert(@sizeOf(Value) == 16 and @sizeOf(Attribute) == 16 and @sizeOf(Flow) == 20);
    std.debug.assert(@sizeOf(VerdictOut) == 24 and @sizeOf(Described) == 40);
}

fn names(of: []const []const u8) !List(Str) {
    const out = try allocator().alloc(Str, of.len);
    for (of, out) |name, *to| to.* = .of(name);
    return .of(out);
}

fn describedBy(contract: Contract) !Described {
    return .{ .refused = false, .as = .{ .contract = .{
        .reads = try names(contract.reads),
        .reads_imported = try names(contract.reads_imported),
        .parameters = try names(contract.parameters),
        .writes = try names(contract.writes),
        .is_volatile = contract.is_volatile,
    } } };
}

fn lowered(verdict: Verdict) VerdictOut {
    return switch (verdict) {
        .flow => |flows| .{ .tag = 0, .as = .{ .flow = .of(flows) } },
        .skip => |reason| .{ .tag = 1, .as = .{ .skip = .of(reason) } },
        .fail => |failure| .{ .tag = 2, .as = .{ .fail = .{
            .has_attribute = failure.attribute != null,
            .attribute = .of(failure.attribute orelse ""),
            .message = .of(failure.message),
        } } },
    };
}

/// Makes `describe` and `apply` of a file the rule of this module.
pub fn exportRule(comptime rule: type) void {
    const exports = struct {
        var described: Described = undefined;
        var answer: VerdictOut = undefined;

        fn version() callconv(.c) void {}

        fn realloc(old: ?[*]u8, old_len: usize, alignment: usize, len: usize) callconv(.c) [*]u8 {
            const fresh = arena.allocator().rawAlloc(len, .fromByteUnits(alignment), 0) orelse @trap();
            if (old) |from| {
                const kept = @min(old_len, len);
                @memcpy(fresh[0..kept], from[0..kept]);
            }
            return fresh;
        }

        fn describe(config: [*]const u8, len: usize) callconv(.c) *Described {
            described = tryDescribe(config[0..len]) catch |e| .{
                .refused = true,
                .as = .{ .reason = .of(@errorName(e)) },
            };
            return &described;
        }

        fn tryDescribe(config: []const u8) anyerror!Described {
            return describedBy(try rule.describe(config));
        }

        fn apply(
            class: [*]const u8,
            class_len: usize,
            attributes: [*]const Attribute,
            attributes_len: usize,
            imported: [*]const Attribute,
            imported_len: usize,
            parameters: [*]const Parameter,
            parameters_len: usize,
        ) callconv(.c) *VerdictOut {
            answer = lowered(tryApply(.{
                .class = class[0..class_len],
                .attributes = attributes[0..attributes_len],
                .imported = imported[0..imported_len],
                .parameters = parameters[0..parameters_len],
            }) catch |e| .{ .fail = .{ .message = @errorName(e) } });
            return &answer;
        }

        fn tryApply(entry: Entry) anyerror!Verdict {
            return rule.apply(entry);
        }

        fn post(_: *anyopaque) callconv(.c) void {
            _ = arena.reset(.retain_capacity);
        }
    };
    @export(&exports.version, .{ .name = "kakehi_rules_0_1" });
    @export(&exports.realloc, .{ .name = "cabi_realloc" });
    @export(&exports.describe, .{ .name = "describe" });
    @export(&exports.apply, .{ .name = "apply" });
    @export(&exports.post, .{ .name = "cabi_post_describe" });
    @export(&exports.post, .{ .name = "cabi_post_apply" });
}
