;; Finds line ends that are not CRLF, and lines that begin with a dot, sixteen octets at a time: one pass in place of a search
;; for each line.
;; `node scripts/wasm.js` makes line-ends.wasm.ts of it.
(module
  (memory (export "memory") 2)

  ;; The first place from `at` on, before `end`, that holds NUL, or a CR without LF behind it, or any other octet before LF,
  ;; or LF with `next` behind it. `end` when there is none. The octet at `end` counts as what follows.
  (func (export "find") (param $at i32) (param $end i32) (param $next i32) (result i32)
    (local $nexts v128)
    (local $behind v128)
    (local $octets v128)
    (local $hits v128)
    (local $found i32)
    (local.set $nexts (i8x16.splat (local.get $next)))
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $octets (v128.load (local.get $at)))
        (local.set $behind (v128.load offset=1 (local.get $at)))
        (local.set $hits
          (v128.or
            (v128.or
              (i8x16.eq (local.get $octets) (v128.const i64x2 0 0))
              (v128.and
                (i8x16.eq (local.get $octets) (v128.const i64x2 0x0a0a0a0a0a0a0a0a 0x0a0a0a0a0a0a0a0a))
                (i8x16.eq (local.get $behind) (local.get $nexts))))
            (v128.xor
              (i8x16.eq (local.get $octets) (v128.const i64x2 0x0d0d0d0d0d0d0d0d 0x0d0d0d0d0d0d0d0d))
              (i8x16.eq (local.get $behind) (v128.const i64x2 0x0a0a0a0a0a0a0a0a 0x0a0a0a0a0a0a0a0a)))))
        (if (v128.any_true (local.get $hits))
          (then
            (local.set $found (i32.add (local.get $at) (i32.ctz (i8x16.bitmask (local.get $hits)))))
            ;; What lies behind the end is not asked about.
            (return (select (local.get $found) (local.get $end) (i32.lt_u (local.get $found) (local.get $end))))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $next)))
    (local.get $end)))
