/* What a rule for Kakehi is written with in C: one header, no library.
 *
 * A rule defines k_describe and k_apply. The structures below ARE the canonical ABI of the world
 * `kakehi:rules/rule@0.1.0`, so nothing is converted. Memory is one arena per call: what the
 * runtime passes in and what the rule allocates lives until the answer was read. Keep nothing
 * longer but what k_describe made of the configuration, in variables of your own. */
#ifndef KAKEHI_H
#define KAKEHI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* === Types === */

/* UTF-8, or bytes; not terminated. Absent where `ptr` is NULL. */
typedef struct { const char *ptr; uint32_t len; } k_str;

#define K_LIST(T) struct { T *ptr; uint32_t len; }

enum { K_TEXT, K_BINARY, K_INTEGER, K_BOOLEAN, K_REFERENCE };

typedef struct {
  uint8_t tag;
  union { k_str str; int64_t integer; uint8_t boolean; };
} k_value;

typedef K_LIST(const k_value) k_values;
typedef K_LIST(const k_str) k_strs;
typedef struct { k_str name; k_values values; } k_attribute;
typedef struct { k_str name, value; } k_parameter;

/* One object, as far as the contract lets the rule see it. */
typedef struct {
  k_str class_name;
  K_LIST(const k_attribute) attributes, imported;
  K_LIST(const k_parameter) parameters;
} k_entry;

enum { K_VALUES, K_NONE, K_BLOCK, K_KEEP };

typedef struct { k_str attribute; uint8_t what; k_values values; } k_flow_item;

enum { K_FLOW, K_SKIP, K_FAIL };

typedef struct {
  uint8_t tag;
  union {
    K_LIST(const k_flow_item) flow;
    k_str skip;
    struct { uint8_t has_attribute; k_str attribute, message; } fail;
  };
} k_verdict;

typedef struct { k_strs reads, reads_imported, parameters, writes; uint8_t is_volatile; } k_contract;

typedef struct {
  uint8_t refused;
  union { k_contract contract; k_str reason; };
} k_described;

_Static_assert(sizeof(void *) == 4, "compile for wasm32");
_Static_assert(sizeof(k_value) == 16 && sizeof(k_attribute) == 16 && sizeof(k_parameter) == 16, "ABI");
_Static_assert(sizeof(k_flow_item) == 20 && sizeof(k_verdict) == 24, "ABI");
_Static_assert(sizeof(k_described) == 40, "ABI");

/* === What the rule defines === */

/* Takes the manifest's `config` as JSON, `{}` if there is none. Always gives the same answer. */
k_described k_describe(k_str config);

/* Judges one object. */
k_verdict k_apply(const k_entry *entry);

/* === What the runtime offers === */

enum { K_DEBUG, K_INFO, K_WARN, K_ERROR };

__attribute__((import_module("kakehi:rules/host@0.1.0"), import_name("log")))
void k_host_log(uint32_t level, const char *text, uint32_t len);

/* The instant of the run in Unix seconds; only for rules whose contract says volatile. */
__attribute__((import_module("kakehi:rules/host@0.1.0"), import_name("now")))
int64_t k_now(void);

/* === Memory === */

extern uint8_t __heap_base;
static uintptr_t k_top;

/* Memory until the end of this call; traps when the limit of the rule is reached. */
static void *k_alloc(size_t align, size_t size) {
  if (!k_top) k_top = (uintptr_t)&__heap_base;
  uintptr_t start = (k_top + align - 1) & ~(uintptr_t)(align - 1), end = start + size;
  if (start < k_top || end < start) __builtin_trap();
  size_t pages = __builtin_wasm_memory_size(0), wanted = (end >> 16) + ((end & 0xffff) != 0);
  if (wanted > pages && __builtin_wasm_memory_grow(0, wanted - pages) == (size_t)-1)
    __builtin_trap();
  k_top = end;
  return (void *)start;
}

/* === Text === */

/* The text of a string literal. */
#define K(literal) ((k_str){"" literal, sizeof(literal) - 1})

static inline k_str k_from(const char *terminated) {
  uint32_t len = 0;
  while (terminated[len]) len++;
  return (k_str){terminated, len};
}

static inline bool k_equal(k_str a, k_str b) {
  if (a.len != b.len) return false;
  for (uint32_t i = 0; i < a.len; i++)
    if (a.ptr[i] != b.ptr[i]) return false;
  return true;
}

static inline bool k_ends_with(k_str text, k_str end) {
  if (text.len < end.len) return false;
  return k_equal((k_str){text.ptr + (text.len - end.len), end.len}, end);
}

/* A to Z in lower case; all other characters stay. Absent stays absent. */
static inline k_str k_ascii_lower(k_str text) {
  if (!text.ptr) return text;
  char *out = k_alloc(1, text.len);
  for (uint32_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    out[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
  }
  return (k_str){out, text.len};
}

static inline k_str k_concat(const k_str *parts, uint32_t count) {
  size_t size = 0;
  for (uint32_t i = 0; i < count; i++) size += parts[i].len;
  char *out = k_alloc(1, size), *next = out;
  for (uint32_t i = 0; i < count; i++) {
    if (parts[i].len) __builtin_memcpy(next, parts[i].ptr, parts[i].len);
    next += parts[i].len;
  }
  return (k_str){out, (uint32_t)size};
}

/* One text of several: k_join(a, K(" "), b). Absent parts are empty. */
#define k_join(...) \
  k_concat((const k_str[]){__VA_ARGS__}, sizeof((const k_str[]){__VA_ARGS__}) / sizeof(k_str))

/* === Reading an entry; an absent attribute has no values === */

static inline k_values k_find(const k_attribute *list, uint32_t count, const char *name) {
  k_str wanted = k_from(name);
  for (uint32_t i = 0; i < count; i++)
    if (k_equal(list[i].name, wanted)) return list[i].values;
  return (k_values){NULL, 0};
}

/* All values of an attribute that `reads` names, in stored order. */
static inline k_values k_values_of(const k_entry *entry, const char *name) {
  return k_find(entry->attributes.ptr, entry->attributes.len, name);
}

/* All values of an attribute that `reads_imported` names: what the connected system confirmed. */
static inline k_values k_confirmed(const k_entry *entry, const char *name) {
  return k_find(entry->imported.ptr, entry->imported.len, name);
}

/* The first value; NULL if the attribute is absent. */
static inline const k_value *k_get(const k_entry *entry, const char *name) {
  k_values values = k_values_of(entry, name);
  return values.len ? values.ptr : NULL;
}

/* A value as a person would write it; absent for binary. */
static inline k_str k_text_of(const k_value *value) {
  if (!value) return (k_str){NULL, 0};
  if (value->tag == K_TEXT || value->tag == K_REFERENCE) {
    /* An empty text may come with any pointer, even NULL, which here would mean absent. */
    return value->str.len ? value->str : K("");
  }
  if (value->tag == K_BOOLEAN) return value->boolean ? K("True") : K("False");
  if (value->tag != K_INTEGER) return (k_str){NULL, 0};
  char *end = (char *)k_alloc(1, 20) + 20, *at = end;
  uint64_t rest = value->integer < 0 ? -(uint64_t)value->integer : (uint64_t)value->integer;
  do { *--at = (char)('0' + rest % 10); rest /= 10; } while (rest);
  if (value->integer < 0) *--at = '-';
  return (k_str){at, (uint32_t)(end - at)};
}

/* The first value as text; absent if the attribute is, or is binary. */
static inline k_str k_text(const k_entry *entry, const char *name) {
  return k_text_of(k_get(entry, name));
}

/* Whether the first value is a whole number, which then is in `out`. Directories without a schema
 * show numbers as text, so text in decimal counts too. */
static inline bool k_int(const k_entry *entry, const char *name, int64_t *out) {
  const k_value *value = k_get(entry, name);
  if (value && value->tag == K_INTEGER) { *out = value->integer; return true; }
  if (!value || value->tag != K_TEXT) return false;
  uint32_t i = value->str.len && (value->str.ptr[0] == '-' || value->str.ptr[0] == '+');
  bool negative = i && value->str.ptr[0] == '-';
  if (i == value->str.len) return false;
  /* By hand: checked multiplication of 64 bits would need a library. */
  uint64_t number = 0, most = (uint64_t)INT64_MAX + negative;
  for (; i < value->str.len; i++) {
    uint32_t digit = (uint32_t)(value->str.ptr[i] - '0');
    if (digit > 9 || number > (most - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *out = (int64_t)(negative ? -number : number);
  return true;
}

/* Whether the first value is a truth value, which then is in `out`: a Boolean, or true and false as
 * text in any case. */
static inline bool k_flag(const k_entry *entry, const char *name, bool *out) {
  const k_value *value = k_get(entry, name);
  if (value && value->tag == K_BOOLEAN) { *out = value->boolean; return true; }
  if (!value || value->tag != K_TEXT) return false;
  k_str text = k_ascii_lower(value->str);
  *out = k_equal(text, K("true"));
  return *out || k_equal(text, K("false"));
}

/* The first value as bytes; absent if the attribute is, or is not binary. */
static inline k_str k_binary(const k_entry *entry, const char *name) {
  const k_value *value = k_get(entry, name);
  if (!value || value->tag != K_BINARY) return (k_str){NULL, 0};
  return value->str.len ? value->str : K("");
}

/* A parameter that the contract names; absent if the connector has none of this name. */
static inline k_str k_param(const k_entry *entry, const char *name) {
  k_str wanted = k_from(name);
  for (uint32_t i = 0; i < entry->parameters.len; i++) {
    const k_parameter *parameter = &entry->parameters.ptr[i];
    if (k_equal(parameter->name, wanted)) return parameter->value.len ? parameter->value : K("");
  }
  return (k_str){NULL, 0};
}

/* === Answering === */

static inline k_strs k_names(const char *const *names, uint32_t count) {
  k_str *out = k_alloc(4, count * sizeof(k_str));
  for (uint32_t i = 0; i < count; i++) out[i] = k_from(names[i]);
  return (k_strs){out, count};
}

/* A list of names, for the fields of a contract: K_NAMES("mail", "sn"). */
#define K_NAMES(...) \
  k_names((const char *const[]){__VA_ARGS__}, \
          sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static inline k_described k_accept(k_contract contract) {
  return (k_described){.refused = 0, .contract = contract};
}

/* The configuration cannot be used, for this reason. */
static inline k_described k_refuse(k_str reason) {
  return (k_described){.refused = 1, .reason = reason};
}

/* The flows of one answer, which grow as they are added. */
typedef struct { k_flow_item *items; uint32_t len, room; } k_flows;

static inline void k_add(k_flows *flows, const char *name, uint8_t what, k_values values) {
  if (flows->len == flows->room) {
    uint32_t room = flows->room ? 2 * flows->room : 16;
    k_flow_item *items = k_alloc(4, room * sizeof *items);
    if (flows->len) __builtin_memcpy(items, flows->items, flows->len * sizeof *items);
    flows->items = items;
    flows->room = room;
  }
  flows->items[flows->len++] = (k_flow_item){k_from(name), what, values};
}

/* Nothing flows: the next rule may contribute; without one the attribute is removed. */
static inline void k_none(k_flows *flows, const char *name) {
  k_add(flows, name, K_NONE, (k_values){NULL, 0});
}

/* Nothing flows, and no rule of lower precedence may contribute either. */
static inline void k_block(k_flows *flows, const char *name) {
  k_add(flows, name, K_BLOCK, (k_values){NULL, 0});
}

/* As if there were no such flow: a value already there stays. */
static inline void k_keep(k_flows *flows, const char *name) {
  k_add(flows, name, K_KEEP, (k_values){NULL, 0});
}

/* These values flow, for example those of an entry; no values mean none. */
static inline void k_set(k_flows *flows, const char *name, k_values values) {
  if (values.len) k_add(flows, name, K_VALUES, values);
  else k_none(flows, name);
}

static inline void k_set_value(k_flows *flows, const char *name, k_value value) {
  k_value *one = k_alloc(8, sizeof *one);
  *one = value;
  k_set(flows, name, (k_values){one, 1});
}

/* Absent text means none. */
static inline void k_set_text(k_flows *flows, const char *name, k_str text) {
  if (text.ptr) k_set_value(flows, name, (k_value){K_TEXT, .str = text});
  else k_none(flows, name);
}

static inline void k_set_int(k_flows *flows, const char *name, int64_t number) {
  k_set_value(flows, name, (k_value){K_INTEGER, .integer = number});
}

static inline void k_set_flag(k_flows *flows, const char *name, bool flag) {
  k_set_value(flows, name, (k_value){K_BOOLEAN, .boolean = flag});
}

static inline k_verdict k_flow(const k_flows *flows) {
  return (k_verdict){K_FLOW, .flow = {flows->items, flows->len}};
}

/* The object is out of this rule's scope. `explain` shows the reason. */
static inline k_verdict k_skip(k_str reason) {
  return (k_verdict){K_SKIP, .skip = reason};
}

/* The object cannot be mapped: it keeps its last good state and is reported. */
static inline k_verdict k_fail(k_str message) {
  return (k_verdict){K_FAIL, .fail = {0, {NULL, 0}, message}};
}

/* Like k_fail, naming the attribute of the contract that is at fault. */
static inline k_verdict k_fail_at(const char *attribute, k_str message) {
  return (k_verdict){K_FAIL, .fail = {1, k_from(attribute), message}};
}

/* A line for the author of the rule: K_DEBUG, K_INFO, K_WARN, K_ERROR. It changes no result. */
static inline void k_log(uint32_t level, k_str line) {
  k_host_log(level, line.ptr, line.len);
}

/* === Exports === */

__attribute__((export_name("kakehi_rules_0_1"))) void k_export_version(void) {}

__attribute__((export_name("cabi_realloc")))
void *k_export_realloc(void *old, size_t old_size, size_t align, size_t size) {
  void *fresh = k_alloc(align, size);
  if (old) __builtin_memcpy(fresh, old, old_size < size ? old_size : size);
  return fresh;
}

__attribute__((export_name("describe")))
k_described *k_export_describe(const char *config, uint32_t len) {
  k_described *result = k_alloc(4, sizeof *result);
  *result = k_describe((k_str){config, len});
  return result;
}

__attribute__((export_name("apply")))
k_verdict *k_export_apply(const char *class_name, uint32_t class_len, const k_attribute *attributes,
                          uint32_t attributes_len, const k_attribute *imported,
                          uint32_t imported_len, const k_parameter *parameters,
                          uint32_t parameters_len) {
  k_entry entry = {{class_name, class_len},
                   {attributes, attributes_len},
                   {imported, imported_len},
                   {parameters, parameters_len}};
  k_verdict *result = k_alloc(4, sizeof *result);
  *result = k_apply(&entry);
  return result;
}

__attribute__((export_name("cabi_post_describe"))) void k_export_described(void *result) {
  (void)result;
  k_top = 0;
}

__attribute__((export_name("cabi_post_apply"))) void k_export_applied(void *result) {
  (void)result;
  k_top = 0;
}

#endif
