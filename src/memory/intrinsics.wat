;; What a plain typed array cannot do on the shared memory, or not fast enough. Compiled bytes stand in
;; intrinsics.ts (scripts/build-intrinsics.ts writes them, a test compares them with this file).
(module
  (import "env" "memory" (memory 1 65536 shared))

  ;; Pairs with store: everything the writer stored before its store is seen after this load.
  (func (export "load") (param $address i32) (result i32)
    (i32.atomic.load (local.get $address)))

  ;; Publishes: all earlier stores of this thread are seen by whoever loads this word with "load".
  (func (export "store") (param $address i32) (param $value i32)
    (i32.atomic.store (local.get $address) (local.get $value)))

  ;; A number that several threads count up; the answer is what it was.
  (func (export "add") (param $address i32) (param $delta i32) (result i32)
    (i32.atomic.rmw.add (local.get $address) (local.get $delta)))

  ;; A counter with one writer: one aligned eight-byte store, so readers never see half of it.
  (func (export "count") (param $address i32) (param $delta i32)
    (i64.store (local.get $address)
      (i64.add (i64.load (local.get $address)) (i64.extend_i32_u (local.get $delta)))))

  ;; Per-worker flow statistics: packets u64, bytes u64, used u64 (milliseconds), TCP flags u32.
  (func (export "countFlow") (param $address i32) (param $packets i32) (param $bytes i32)
    (param $nowMillis f64) (param $tcpFlags i32)
    (i64.store (local.get $address)
      (i64.add (i64.load (local.get $address)) (i64.extend_i32_u (local.get $packets))))
    (i64.store offset=8 (local.get $address)
      (i64.add (i64.load offset=8 (local.get $address)) (i64.extend_i32_u (local.get $bytes))))
    (i64.store offset=16 (local.get $address) (i64.trunc_sat_f64_u (local.get $nowMillis)))
    (i32.store offset=24 (local.get $address)
      (i32.or (i32.load offset=24 (local.get $address)) (local.get $tcpFlags))))

  ;; A burst's flow statistics: each of $count packets, described by a word in each of the columns at $flows,
  ;; $packetBytes and $tcpFlags, is added to the statistics that stand $flow * 32 bytes behind $stats.
  (func (export "countFlows") (param $flows i32) (param $packetBytes i32) (param $tcpFlags i32) (param $count i32)
    (param $stats i32) (param $nowMillis f64)
    (local $end i32) (local $at i32) (local $now i64)
    (local.set $now (i64.trunc_sat_f64_u (local.get $nowMillis)))
    (local.set $end (i32.add (local.get $flows) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $flows) (local.get $end)))
        (local.set $at (i32.add (local.get $stats) (i32.shl (i32.load (local.get $flows)) (i32.const 5))))
        (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
        (i64.store offset=8 (local.get $at)
          (i64.add (i64.load offset=8 (local.get $at)) (i64.load32_u (local.get $packetBytes))))
        (i64.store offset=16 (local.get $at) (local.get $now))
        (i32.store offset=24 (local.get $at)
          (i32.or (i32.load offset=24 (local.get $at)) (i32.load (local.get $tcpFlags))))
        (local.set $flows (i32.add (local.get $flows) (i32.const 4)))
        (local.set $packetBytes (i32.add (local.get $packetBytes) (i32.const 4)))
        (local.set $tcpFlags (i32.add (local.get $tcpFlags) (i32.const 4)))
        (br $next))))

  ;; Copies between ranges that do not overlap. Sixteen bytes at a time, the tail by one overlapping store.
  (func (export "copy") (param $target i32) (param $source i32) (param $bytes i32)
    (local $end i32)
    (if (i32.lt_u (local.get $bytes) (i32.const 16))
      (then (memory.copy (local.get $target) (local.get $source) (local.get $bytes)) (return)))
    (if (i32.gt_u (local.get $bytes) (i32.const 512))
      (then (memory.copy (local.get $target) (local.get $source) (local.get $bytes)) (return)))
    (local.set $end (i32.sub (i32.add (local.get $source) (local.get $bytes)) (i32.const 16)))
    ;; The last sixteen bytes first; the loop may then stop short of them.
    (v128.store align=1
      (i32.sub (i32.add (local.get $target) (local.get $bytes)) (i32.const 16))
      (v128.load align=1 (local.get $end)))
    (loop $next
      (v128.store align=1 (local.get $target) (v128.load align=1 (local.get $source)))
      (local.set $target (i32.add (local.get $target) (i32.const 16)))
      (local.set $source (i32.add (local.get $source) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $source) (local.get $end)))))

  (func (export "move") (param $target i32) (param $source i32) (param $bytes i32)
    (memory.copy (local.get $target) (local.get $source) (local.get $bytes)))

  (func (export "zero") (param $address i32) (param $bytes i32)
    (memory.fill (local.get $address) (i32.const 0) (local.get $bytes)))

  ;; A counter with many writers; the delta is a whole number below 2^53. At most once a burst.
  (func (export "addShared") (param $address i32) (param $delta f64)
    (drop (i64.atomic.rmw.add (local.get $address) (i64.trunc_sat_f64_u (local.get $delta)))))

  ;; A token bucket that all threads share, as one f64 time (action/meter-layout.ts): what lies between it and now, $burst
  ;; at most, is there. Takes up to $wanted of it and returns how much.
  (func (export "bucketDraw") (param $address i32) (param $now f64) (param $wanted f64) (param $burst f64) (result f64)
    (local $old i64) (local $from f64) (local $drawn f64)
    (loop $again
      (local.set $old (i64.atomic.load (local.get $address)))
      (local.set $from (f64.max (f64.reinterpret_i64 (local.get $old)) (f64.sub (local.get $now) (local.get $burst))))
      (local.set $drawn (f64.min (local.get $wanted) (f64.sub (local.get $now) (local.get $from))))
      (if (f64.le (local.get $drawn) (f64.const 0)) (then (return (f64.const 0))))
      (br_if $again (i64.ne (local.get $old)
        (i64.atomic.rmw.cmpxchg (local.get $address) (local.get $old)
          (i64.reinterpret_f64 (f64.add (local.get $from) (local.get $drawn)))))))
    (local.get $drawn))

  ;; Gives back what was drawn and not spent.
  (func (export "bucketReturn") (param $address i32) (param $amount f64)
    (local $old i64)
    (loop $again
      (local.set $old (i64.atomic.load (local.get $address)))
      (br_if $again (i64.ne (local.get $old)
        (i64.atomic.rmw.cmpxchg (local.get $address) (local.get $old)
          (i64.reinterpret_f64 (f64.sub (f64.reinterpret_i64 (local.get $old)) (local.get $amount))))))))

  ;; A stack shared by all threads: the head is an index (low word) and a tag (high word). The tag grows with
  ;; every change, so a head that left and came back is not taken for the one that was read (ABA).
  ;; A node is linked through the word at $links + index * $stride.
  (func (export "stackPush") (param $head i32) (param $links i32) (param $stride i32) (param $index i32)
    (local $old i64)
    (loop $again
      (local.set $old (i64.atomic.load (local.get $head)))
      (i32.store (i32.add (local.get $links) (i32.mul (local.get $index) (local.get $stride)))
        (i32.wrap_i64 (local.get $old)))
      (br_if $again (i64.ne (local.get $old)
        (i64.atomic.rmw.cmpxchg (local.get $head) (local.get $old)
          (i64.or
            (i64.shl (i64.add (i64.shr_u (local.get $old) (i64.const 32)) (i64.const 1)) (i64.const 32))
            (i64.extend_i32_u (local.get $index))))))))

  ;; The index that was on top, -1 when the stack is empty.
  (func (export "stackPop") (param $head i32) (param $links i32) (param $stride i32) (result i32)
    (local $old i64) (local $index i32)
    (loop $again
      (local.set $old (i64.atomic.load (local.get $head)))
      (local.set $index (i32.wrap_i64 (local.get $old)))
      (if (i32.eq (local.get $index) (i32.const -1)) (then (return (i32.const -1))))
      (br_if $again (i64.ne (local.get $old)
        (i64.atomic.rmw.cmpxchg (local.get $head) (local.get $old)
          (i64.or
            (i64.shl (i64.add (i64.shr_u (local.get $old) (i64.const 32)) (i64.const 1)) (i64.const 32))
            (i64.extend_i32_u (i32.load
              (i32.add (local.get $links) (i32.mul (local.get $index) (local.get $stride))))))))))
    (local.get $index))
)
