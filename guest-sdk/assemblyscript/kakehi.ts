// What a rule for Kakehi is written with in AssemblyScript, together with `module.ts`.
//
// A rule is a file `rule.ts` that exports `describe(config: string): Described` and
// `apply(entry: Entry): Verdict`. Memory is one arena per call: the stub runtime only ever moves a
// pointer forward, and `module.ts` moves it back when the answer was read. So keep nothing between
// calls but numbers: an object in a global variable would be overwritten.

// === Values ===

export const enum Tag {
  Text,
  Binary,
  Integer,
  Boolean,
  Reference,
}

/** One value of one attribute: 16 bytes, as the canonical ABI lays them out. */
@unmanaged
export class Value {
  tag: u8;
  // A pointer and a length, an integer, or a Boolean.
  private low: u32;
  private high: u32;

  static text(it: string): Value {
    return Value.bytes(Tag.Text, String.UTF8.encode(it));
  }

  static reference(it: string): Value {
    return Value.bytes(Tag.Reference, String.UTF8.encode(it));
  }

  static binary(it: ArrayBuffer): Value {
    return Value.bytes(Tag.Binary, it);
  }

  static integer(it: i64): Value {
    const value = changetype<Value>(heap.alloc(16));
    value.tag = <u8>Tag.Integer;
    store<i64>(changetype<usize>(value), it, 8);
    return value;
  }

  static boolean(it: bool): Value {
    const value = changetype<Value>(heap.alloc(16));
    value.tag = <u8>Tag.Boolean;
    store<u8>(changetype<usize>(value), it ? 1 : 0, 8);
    return value;
  }

  private static bytes(tag: Tag, it: ArrayBuffer): Value {
    const value = changetype<Value>(heap.alloc(16));
    value.tag = <u8>tag;
    store<u32>(changetype<usize>(value), <u32>changetype<usize>(it), 8);
    store<u32>(changetype<usize>(value), it.byteLength, 12);
    return value;
  }

  /** Text, reference: its characters. Binary: its bytes read as UTF-8; see `byte`. */
  private get characters(): string {
    const at = changetype<usize>(this);
    return String.UTF8.decodeUnsafe(load<u32>(at, 8), load<u32>(at, 12));
  }

  /** The value as a person would write it; null for binary. */
  get asText(): string | null {
    const at = changetype<usize>(this);
    if (this.tag == Tag.Integer) return load<i64>(at, 8).toString();
    if (this.tag == Tag.Boolean) return load<u8>(at, 8) ? "True" : "False";
    return this.tag == Tag.Binary ? null : this.characters;
  }

  /** The number of bytes of a text, reference or binary value. */
  get length(): i32 {
    return load<u32>(changetype<usize>(this), 12);
  }

  /** One byte of a text, reference or binary value. */
  byte(index: i32): u8 {
    if (index < 0 || index >= this.length) unreachable();
    return load<u8>(load<u32>(changetype<usize>(this), 8) + index);
  }

  get asInteger(): i64 {
    return load<i64>(changetype<usize>(this), 8);
  }

  get asBoolean(): bool {
    return load<u8>(changetype<usize>(this), 8) != 0;
  }
}

/** A whole number, or that there is none. */
export class Integer {
  constructor(public value: i64) {}
}

/** A truth value, or that there is none. */
export class Flag {
  constructor(public value: bool) {}
}

// === Reading ===

/** One object, as far as the contract lets the rule see it. Names are compared exactly. */
export class Entry {
  constructor(
    public classAt: usize, public classLength: u32,
    private attributes: usize, private attributesCount: u32,
    private imported: usize, private importedCount: u32,
    private parameters: usize, private parametersCount: u32,
  ) {}

  /** The object type. */
  get className(): string {
    return String.UTF8.decodeUnsafe(this.classAt, this.classLength);
  }

  /** All values of an attribute that `reads` names, in stored order; empty if it is absent. */
  values(name: string): Value[] {
    return valuesOf(find(this.attributes, this.attributesCount, name));
  }

  /** All values of an attribute of `readsImported`: what the connected system has confirmed. */
  confirmed(name: string): Value[] {
    return valuesOf(find(this.imported, this.importedCount, name));
  }

  /** The first value; null if the attribute is absent. */
  get(name: string): Value | null {
    const at = find(this.attributes, this.attributesCount, name);
    return at && load<u32>(at, 12) ? changetype<Value>(<usize>load<u32>(at, 8)) : null;
  }

  /** The first value as text; null if it is absent or binary. */
  text(name: string): string | null {
    const value = this.get(name);
    return value ? value.asText : null;
  }

  /**
   * The first value as a whole number. Directories without a schema show numbers as text, so text
   * in decimal counts too.
   */
  int(name: string): Integer | null {
    const value = this.get(name);
    if (!value) return null;
    if (value.tag == Tag.Integer) return new Integer(value.asInteger);
    return value.tag == Tag.Text ? decimal(value) : null;
  }

  /** The first value as a truth value: a Boolean, or true and false as text in any case. */
  flag(name: string): Flag | null {
    const value = this.get(name);
    if (!value) return null;
    if (value.tag == Tag.Boolean) return new Flag(value.asBoolean);
    if (value.tag != Tag.Text) return null;
    const text = asciiLower(value.asText!);
    if (text == "true") return new Flag(true);
    return text == "false" ? new Flag(false) : null;
  }

  /** The first value if it is binary; its bytes are `value.byte(i)`. */
  binary(name: string): Value | null {
    const value = this.get(name);
    return value && value.tag == Tag.Binary ? value : null;
  }

  /** A parameter that the contract names. */
  param(name: string): string | null {
    const at = find(this.parameters, this.parametersCount, name);
    return at ? String.UTF8.decodeUnsafe(load<u32>(at, 8), load<u32>(at, 12)) : null;
  }
}

/** Attributes and parameters alike are 16 bytes that begin with a name. */
function find(list: usize, count: u32, name: string): usize {
  const wanted = String.UTF8.encode(name);
  const length = <u32>wanted.byteLength;
  for (let i: u32 = 0; i < count; i++) {
    const at = list + i * 16;
    if (load<u32>(at, 4) != length) continue;
    if (memory.compare(load<u32>(at), changetype<usize>(wanted), length) == 0) return at;
  }
  return 0;
}

function valuesOf(attribute: usize): Value[] {
  const values: Value[] = [];
  if (!attribute) return values;
  const at: usize = load<u32>(attribute, 8);
  const count: u32 = load<u32>(attribute, 12);
  for (let i: u32 = 0; i < count; i++) values.push(changetype<Value>(at + i * 16));
  return values;
}

function decimal(value: Value): Integer | null {
  const length = value.length;
  const negative = length > 0 && value.byte(0) == 45; // -
  const start = negative || (length > 0 && value.byte(0) == 43) ? 1 : 0; // +
  if (start == length) return null;
  const most: u64 = negative ? 1 << 63 : (1 << 63) - 1;
  let number: u64 = 0;
  for (let i = start; i < length; i++) {
    const digit = <u64>value.byte(i) - 48;
    if (digit > 9 || number > (most - digit) / 10) return null;
    number = number * 10 + digit;
  }
  return new Integer(negative ? -(<i64>number) : <i64>number);
}

/** A to Z in lower case; all other characters stay. */
export function asciiLower(text: string): string {
  let lower = "";
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    lower += String.fromCharCode(c >= 65 && c <= 90 ? c + 32 : c);
  }
  return lower;
}

// === Answering ===

/** What `describe` answers: a contract, or why the configuration cannot be used. */
export class Described {
  readsImported: string[] = [];
  parameters: string[] = [];
  /** The answer depends on the time too: the rule may call `now`. */
  volatile: bool = false;

  constructor(public reads: string[], public writes: string[], public refusal: string | null) {}

  /** For `module.ts`. */
  lower(): usize {
    const at = heap.alloc(40);
    const refusal = this.refusal;
    if (refusal !== null) {
      store<u8>(at, 1);
      lowerText(at + 4, refusal);
      return at;
    }
    store<u8>(at, 0);
    lowerNames(at + 4, this.reads);
    lowerNames(at + 12, this.readsImported);
    lowerNames(at + 20, this.parameters);
    lowerNames(at + 28, this.writes);
    store<u8>(at, this.volatile ? 1 : 0, 36);
    return at;
  }
}

/** A contract of attributes read and attributes written; set its other fields if you need them. */
export function contract(reads: string[], writes: string[]): Described {
  return new Described(reads, writes, null);
}

/** The configuration cannot be used, for this reason. */
export function refuse(reason: string): Described {
  return new Described([], [], reason);
}

const enum What {
  Values,
  None,
  Block,
  Keep,
}

/** The flows of one answer. */
export class Flows {
  private names: string[] = [];
  private what: u8[] = [];
  private values: usize[] = [];
  private counts: u32[] = [];

  /** This value flows; null means none. */
  set(name: string, value: Value | null): void {
    if (value) this.add(name, What.Values, changetype<usize>(value), 1);
    else this.none(name);
  }

  /** This text flows; null means none. */
  setText(name: string, text: string | null): void {
    this.set(name, text !== null ? Value.text(text) : null);
  }

  /** These values flow, for example those of an entry; no values mean none. */
  setAll(name: string, values: Value[]): void {
    if (values.length == 0) return this.none(name);
    const at = heap.alloc(values.length * 16);
    for (let i = 0; i < values.length; i++) {
      memory.copy(at + i * 16, changetype<usize>(values[i]), 16);
    }
    this.add(name, What.Values, at, values.length);
  }

  /** Nothing flows: the next rule may contribute; without one the attribute is removed. */
  none(name: string): void {
    this.add(name, What.None, 0, 0);
  }

  /** Nothing flows, and no rule of lower precedence may contribute either. */
  block(name: string): void {
    this.add(name, What.Block, 0, 0);
  }

  /** As if there were no such flow: a value already there stays. */
  keep(name: string): void {
    this.add(name, What.Keep, 0, 0);
  }

  private add(name: string, what: What, values: usize, count: u32): void {
    this.names.push(name);
    this.what.push(<u8>what);
    this.values.push(values);
    this.counts.push(count);
  }

  /** The answer with these flows. */
  verdict(): Verdict {
    const count = this.names.length;
    const list = heap.alloc(count * 20);
    for (let i = 0; i < count; i++) {
      const at = list + i * 20;
      lowerText(at, this.names[i]);
      store<u8>(at, this.what[i], 8);
      store<u32>(at, <u32>this.values[i], 12);
      store<u32>(at, this.counts[i], 16);
    }
    const answer = heap.alloc(24);
    store<u8>(answer, 0);
    store<u32>(answer, <u32>list, 4);
    store<u32>(answer, count, 8);
    return new Verdict(answer);
  }
}

/** What the rule says of one object: made by `Flows.verdict`, `skip`, `fail` and `failAt`. */
export class Verdict {
  /** `at`: for `module.ts`. */
  constructor(public at: usize) {}
}

/** The object is out of this rule's scope. `explain` shows the reason. */
export function skip(reason: string): Verdict {
  const answer = heap.alloc(24);
  store<u8>(answer, 1);
  lowerText(answer + 4, reason);
  return new Verdict(answer);
}

/** The object cannot be mapped: it keeps its last good state and is reported. */
export function fail(message: string): Verdict {
  const answer = heap.alloc(24);
  store<u8>(answer, 2);
  store<u8>(answer, 0, 4);
  lowerText(answer + 16, message);
  return new Verdict(answer);
}

/** Like `fail`, naming the attribute of the contract that is at fault. */
export function failAt(attribute: string, message: string): Verdict {
  const verdict = fail(message);
  store<u8>(verdict.at, 1, 4);
  lowerText(verdict.at + 8, attribute);
  return verdict;
}

function lowerText(at: usize, text: string): void {
  const bytes = String.UTF8.encode(text);
  store<u32>(at, <u32>changetype<usize>(bytes));
  store<u32>(at, bytes.byteLength, 4);
}

function lowerNames(at: usize, names: string[]): void {
  const list = heap.alloc(names.length * 8);
  for (let i = 0; i < names.length; i++) lowerText(list + i * 8, names[i]);
  store<u32>(at, <u32>list);
  store<u32>(at, names.length, 4);
}

// === What the runtime offers ===

@external("kakehi:rules/host@0.1.0", "log")
declare function hostLog(level: u32, at: usize, length: u32): void;

/** The instant of the run in Unix seconds; only for rules whose contract says volatile. */
@external("kakehi:rules/host@0.1.0", "now")
export declare function now(): i64;

function log(level: u32, line: string): void {
  const bytes = String.UTF8.encode(line);
  hostLog(level, changetype<usize>(bytes), bytes.byteLength);
}

/** A line for the author of the rule. It changes no result. */
export function debug(line: string): void {
  log(0, line);
}

export function info(line: string): void {
  log(1, line);
}

export function warn(line: string): void {
  log(2, line);
}

export function error(line: string): void {
  log(3, line);
}
