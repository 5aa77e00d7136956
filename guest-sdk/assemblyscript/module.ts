// What the runtime calls: the canonical ABI of the world `kakehi:rules/rule@0.1.0`, around the two
// functions of `rule.ts`. This is the file to compile; there is nothing to change in it.

import { Entry } from "./kakehi";
import * as rule from "./rule";

export function kakehi_rules_0_1(): void {}

export function cabi_realloc(old: usize, oldLength: usize, align: usize, length: usize): usize {
  const fresh = heap.alloc(length); // 16-aligned, and the interface asks for 8 at most
  if (old) memory.copy(fresh, old, min(oldLength, length));
  return fresh;
}

export function describe(config: usize, length: usize): usize {
  return rule.describe(String.UTF8.decodeUnsafe(config, length)).lower();
}

export function apply(
  classAt: usize, classLength: u32, attributes: usize, attributesCount: u32,
  imported: usize, importedCount: u32, parameters: usize, parametersCount: u32,
): usize {
  const entry = new Entry(
    classAt, classLength, attributes, attributesCount,
    imported, importedCount, parameters, parametersCount,
  );
  return rule.apply(entry).at;
}

export function cabi_post_describe(answer: usize): void {
  heap.reset();
}

export function cabi_post_apply(answer: usize): void {
  heap.reset();
}
