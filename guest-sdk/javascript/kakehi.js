// What a rule for Kakehi is written with in JavaScript and TypeScript.
//
// A rule is a module that exports `describe(config)` and `apply(entry)`. Values are plain objects,
// as the interface has them: `{ tag: "text", val: "Taro" }`. Nothing may be kept between objects but
// what `describe` made of the configuration.
//
// Whole numbers are plain numbers. The tool that makes the module passes them as floating point, so
// one beyond 2^53 arrives rounded: reading it ends the rule for that object, with a line that says
// why, rather than let a wrong value flow.

import { log, now } from "kakehi:rules/host@0.1.0";

export { now };

// What the interface has for whole numbers: 64 bits.
const INTEGER_MIN = -(2n ** 63n);
const INTEGER_MAX = 2n ** 63n - 1n;

// === Reading; names are compared exactly ===

/** All values of an attribute that `reads` names, in stored order; empty if it is absent. */
export const values = (entry, name) => exact(find(entry.attributes, name));

/** All values of an attribute of `readsImported`: what the connected system has confirmed. */
export const confirmed = (entry, name) => exact(find(entry.imported, name));

/** The first value; undefined if the attribute is absent. */
export const get = (entry, name) => values(entry, name)[0];

/** The first value as text; undefined if it is absent or binary. */
export function text(entry, name) {
  const value = get(entry, name);
  if (value === undefined || value.tag === "binary") return undefined;
  if (value.tag === "boolean") return value.val ? "True" : "False";
  return String(value.val);
}

/**
 * The first value as a whole number. Directories without a schema show numbers as text, so text in
 * decimal counts too.
 */
export function int(entry, name) {
  const value = get(entry, name);
  if (value?.tag === "integer") return value.val;
  if (value?.tag !== "text" || !/^[+-]?[0-9]+$/.test(value.val)) return undefined;
  // BigInt knows no plus sign.
  const number = BigInt(value.val.replace("+", ""));
  if (number < INTEGER_MIN || number > INTEGER_MAX) return undefined;
  return Number.isSafeInteger(Number(number)) ? Number(number) : inexact(name);
}

/** The first value as a truth value: a Boolean, or true and false as text in any case. */
export function flag(entry, name) {
  const value = get(entry, name);
  if (value?.tag === "boolean") return value.val;
  if (value?.tag !== "text") return undefined;
  return { true: true, false: false }[asciiLower(value.val)];
}

/** The first value as bytes; undefined if it is absent or not binary. */
export function binary(entry, name) {
  const value = get(entry, name);
  return value?.tag === "binary" ? value.val : undefined;
}

/** The references of an attribute: DNs inbound, metaverse ids outbound. */
export const refs = (entry, name) =>
  values(entry, name).filter((value) => value.tag === "reference").map((value) => value.val);

/** A parameter that the contract names; undefined if there is none. */
export const param = (entry, name) => find(entry.parameters, name)?.value;

/** A to Z in lower case; all other characters stay. */
export const asciiLower = (of) => of.replace(/[A-Z]/g, (c) => c.toLowerCase());

const find = (list, name) => list.find((item) => item.name === name);

function exact(attribute) {
  const rounded = (value) => value.tag === "integer" && !Number.isSafeInteger(value.val);
  return attribute?.values.some(rounded) ? inexact(attribute.name) : attribute?.values ?? [];
}

function inexact(what) {
  const message = `${what}: a whole number beyond 2^53, which JavaScript rounds`;
  error(message);
  throw new RangeError(message);
}

// === Answering ===

/** A contract of attributes read and attributes written; `more` may name its other fields. */
export const contract = (reads, writes, more = {}) => ({
  reads,
  readsImported: [],
  parameters: [],
  writes,
  volatile: false,
  ...more,
});

/** Ends `describe`: the configuration cannot be used, for this reason. */
export function refuse(reason) {
  throw reason;
}

/**
 * These values flow: one or a list of text, whole numbers, Boolean, Uint8Array, values of an entry.
 * What is undefined is left out; no values mean `none`. A larger number can flow as text.
 */
export function set(attribute, contents) {
  const list = Array.isArray(contents) ? contents : [contents];
  const flowing = list.filter((content) => content !== undefined).map(value);
  return flowing.length ? flowOf(attribute, { tag: "values", val: flowing }) : none(attribute);
}

/** Nothing flows: the next rule may contribute; without one the attribute is removed. */
export const none = (attribute) => flowOf(attribute, { tag: "none" });

/** Nothing flows, and no rule of lower precedence may contribute either. */
export const block = (attribute) => flowOf(attribute, { tag: "block" });

/** As if there were no such flow: a value already there stays. */
export const keep = (attribute) => flowOf(attribute, { tag: "keep" });

/** The answer with these flows. */
export const flow = (...flows) => ({ tag: "flow", val: flows });

/** The object is out of this rule's scope. `explain` shows the reason. */
export const skip = (reason) => ({ tag: "skip", val: reason });

/** The object cannot be mapped: it keeps its last good state and is reported. */
export const fail = (message) => ({ tag: "fail", val: { attribute: undefined, message } });

/** Like `fail`, naming the attribute of the contract that is at fault. */
export const failAt = (attribute, message) => ({ tag: "fail", val: { attribute, message } });

const flowOf = (attribute, contribution) => ({ attribute, contribution });

function value(content) {
  if (typeof content === "string") return { tag: "text", val: content };
  if (typeof content === "boolean") return { tag: "boolean", val: content };
  if (content instanceof Uint8Array) return { tag: "binary", val: content };
  if (Number.isSafeInteger(content)) return { tag: "integer", val: content };
  if (typeof content?.tag === "string") return content;
  if (typeof content === "number") return inexact(String(content));
  throw new TypeError(`no attribute can hold ${typeof content}`);
}

// === What the runtime offers ===

/** A line for the author of the rule. It changes no result. */
export const debug = (line) => log("debug", line);
export const info = (line) => log("info", line);
export const warn = (line) => log("warn", line);
export const error = (line) => log("error", line);
