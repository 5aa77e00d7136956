;; displayName <- dn: a complete rule without any tool, the canonical ABI by hand.
;;
;; Memory: 16 and 32 names, 64 the list of both, 128 the answer of `describe`, 256 that of `apply`,
;; 288 its only flow, from 4096 the arena of one call: what the runtime passes in is put there by
;; `cabi_realloc`, and the post-return functions empty it.
(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (data (i32.const 16) "dn") (data (i32.const 32) "displayName")
  ;; Both names as strings: pointer and length, little endian.
  (data (i32.const 64) "\10\00\00\00\02\00\00\00\20\00\00\00\0b\00\00\00")
  ;; 128: 0 for ok. 132: `reads`, one string at 64. 156: `writes`, one string at 72.
  (data (i32.const 132) "\40\00\00\00\01\00\00\00")
  (data (i32.const 156) "\48\00\00\00\01\00\00\00")
  ;; 256: 0 for `flow`. 260: one flow at 288. 288: its attribute; 296: 0 for `values`; 300: these.
  (data (i32.const 260) "\20\01\00\00\01\00\00\00")
  (data (i32.const 288) "\20\00\00\00\0b\00\00\00")

  ;; Says for which interface this was written.
  (func (export "kakehi_rules_0_1"))

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32)
    (param $size i32) (result i32) (local $start i32)
    (local.set $start
      (i32.and (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
               (i32.sub (i32.const 0) (local.get $align))))
    (global.set $top (i32.add (local.get $start) (local.get $size)))
    ;; The memory grows by whole pages of 64 KiB, up to the limit of the rule.
    (block $fits
      (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (i32.const -1)
        (memory.grow (i32.sub (i32.add (i32.shr_u (global.get $top) (i32.const 16)) (i32.const 1))
                              (memory.size)))))
      (unreachable))
    (local.get $start))

  (func (export "describe") (param $config i32) (param $config_length i32) (result i32)
    (i32.const 128))

  ;; Each list of an entry is a pointer and a count.
  (func (export "apply") (param $class i32) (param $class_length i32)
    (param $attributes i32) (param $attributes_count i32)
    (param $imported i32) (param $imported_count i32)
    (param $parameters i32) (param $parameters_count i32) (result i32)
    ;; No values, which means none, unless there is an attribute: the only one that is read.
    (i32.store (i32.const 300) (i32.const 0))
    (i32.store (i32.const 304) (i32.const 0))
    (if (local.get $attributes_count) (then
      (i32.store (i32.const 300) (i32.load offset=8 (local.get $attributes)))
      (i32.store (i32.const 304) (i32.load offset=12 (local.get $attributes)))))
    (i32.const 256))

  (func (export "cabi_post_describe") (param i32) (global.set $top (i32.const 4096)))
  (func (export "cabi_post_apply") (param i32) (global.set $top (i32.const 4096))))
