// Types of `kakehi.js`, for TypeScript and for editors.

/** One value of one attribute. */
export type Value =
  | { tag: "text"; val: string }
  | { tag: "binary"; val: Uint8Array }
  | { tag: "integer"; val: number }
  | { tag: "boolean"; val: boolean }
  | { tag: "reference"; val: string };

/** A name and its values: at least one, in stored order, none twice. */
export interface Attribute { name: string; values: Value[] }

/** A parameter of the connector or of the installation, such as `Domain.FQDN`. */
export interface Parameter { name: string; value: string }

/** One object, as far as the contract lets the rule see it. */
export interface Entry {
  class: string;
  attributes: Attribute[];
  imported: Attribute[];
  parameters: Parameter[];
}

/** What the rule, so configured, needs and does. */
export interface Contract {
  reads: string[];
  readsImported: string[];
  parameters: string[];
  writes: string[];
  volatile: boolean;
}

export type Contribution =
  | { tag: "values"; val: Value[] }
  | { tag: "none" }
  | { tag: "block" }
  | { tag: "keep" };

export interface Flow { attribute: string; contribution: Contribution }

export type Verdict =
  | { tag: "flow"; val: Flow[] }
  | { tag: "skip"; val: string }
  | { tag: "fail"; val: { attribute: string | undefined; message: string } };

/** What can stand for a value. */
export type Content = string | number | boolean | Uint8Array | Value | undefined;

export function values(entry: Entry, name: string): Value[];
export function confirmed(entry: Entry, name: string): Value[];
export function get(entry: Entry, name: string): Value | undefined;
export function text(entry: Entry, name: string): string | undefined;
export function int(entry: Entry, name: string): number | undefined;
export function flag(entry: Entry, name: string): boolean | undefined;
export function binary(entry: Entry, name: string): Uint8Array | undefined;
export function refs(entry: Entry, name: string): string[];
export function param(entry: Entry, name: string): string | undefined;
export function asciiLower(of: string): string;

type More = Partial<Pick<Contract, "readsImported" | "parameters" | "volatile">>;
export function contract(reads: string[], writes: string[], more?: More): Contract;
export function refuse(reason: string): never;

export function set(attribute: string, contents: Content | Content[]): Flow;
export function none(attribute: string): Flow;
export function block(attribute: string): Flow;
export function keep(attribute: string): Flow;
export function flow(...flows: Flow[]): Verdict;
export function skip(reason: string): Verdict;
export function fail(message: string): Verdict;
export function failAt(attribute: string, message: string): Verdict;

/** The instant of the run in Unix seconds; only for rules whose contract says volatile. */
export function now(): number;
export function debug(line: string): void;
export function info(line: string): void;
export function warn(line: string): void;
export function error(line: string): void;
