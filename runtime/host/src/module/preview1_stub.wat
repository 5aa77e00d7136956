;; A powerless `wasi_snapshot_preview1` for languages whose runtime insists on it, such as Go.
;; Everything it says is the same at every run (G-05): the clock counts calls, randomness is 0x5A,
;; there are no arguments, no environment and no files, and what is written is dropped.
(module
  (import "env" "memory" (memory 0))
  (global $clock (mut i64) (i64.const 0))

  (func $zero_two (param i32 i32) (result i32)
    (i32.store (local.get 0) (i32.const 0)) (i32.store (local.get 1) (i32.const 0)) (i32.const 0))
  (export "args_sizes_get" (func $zero_two))
  (export "environ_sizes_get" (func $zero_two))
  (func $nothing_to_get (param i32 i32) (result i32) (i32.const 0))
  (export "args_get" (func $nothing_to_get))
  (export "environ_get" (func $nothing_to_get))

  ;; Nanoseconds: 1,000 more at every call, so that waiting loops end.
  (func (export "clock_time_get") (param i32 i64 i32) (result i32)
    (global.set $clock (i64.add (global.get $clock) (i64.const 1000)))
    (i64.store (local.get 2) (global.get $clock)) (i32.const 0))
  (func (export "random_get") (param i32 i32) (result i32)
    (memory.fill (local.get 0) (i32.const 0x5A) (local.get 1)) (i32.const 0))

  ;; Reports the sum of the lengths of all buffers as written.
  (func (export "fd_write") (param $fd i32) (param $buffers i32) (param $count i32)
    (param $written i32) (result i32) (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $buffers))))
        (local.set $buffers (i32.add (local.get $buffers) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum)) (i32.const 0))

  ;; 8 is `badf`: no such file.
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func $no_file (param i32 i32) (result i32) (i32.const 8))
  (export "fd_fdstat_get" (func $no_file))
  (export "fd_fdstat_set_flags" (func $no_file))
  (export "fd_prestat_get" (func $no_file))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  ;; 52 is `nosys`.
  (func (export "poll_oneoff") (param i32 i32 i32 i32) (result i32) (i32.const 52))
  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) (unreachable)))
