;; What a team signed: displayName <- dn.
(module
  (memory (export "memory") 1)
  (global $top (mut i32) (i32.const 4096))
  (data (i32.const 16) "dn") (data (i32.const 32) "displayName")
  (data (i32.const 64) "\10\00\00\00\02\00\00\00\20\00\00\00\0b\00\00\00")   ;; both as strings
  (data (i32.const 132) "\40\00\00\00\01\00\00\00")                          ;; 128: ok; reads one
  (data (i32.const 156) "\48\00\00\00\01\00\00\00")                          ;;      writes one
  (data (i32.const 260) "\20\01\00\00\01\00\00\00")                          ;; 256: flow, one at 288
  (data (i32.const 288) "\20\00\00\00\0b\00\00\00")                          ;; 288: its name; then values
  (func (export "kakehi_rules_0_1"))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
    (local.set $p (i32.and (i32.add (global.get $top) (i32.sub (local.get 2) (i32.const 1)))
                           (i32.sub (i32.const 0) (local.get 2))))
    (global.set $top (i32.add (local.get $p) (local.get 3))) (local.get $p))
  (func (export "describe") (param i32 i32) (result i32) (i32.const 128))
  (func (export "apply") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 300) (i32.load offset=8 (local.get 2)))        ;; the first attribute's values
    (i32.store (i32.const 304) (i32.load offset=12 (local.get 2)))
    (i32.const 256))
  (func (export "cabi_post_describe") (param i32) (global.set $top (i32.const 4096)))
  (func (export "cabi_post_apply") (param i32) (global.set $top (i32.const 4096))))
