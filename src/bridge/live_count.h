// Counts the live objects of a kind in debug and sanitizer builds, so that tests can assert zero.
// Thread: any. Release builds: empty, and all counts are zero.
#ifndef NODE_ASGI_BRIDGE_LIVE_COUNT_H_
#define NODE_ASGI_BRIDGE_LIVE_COUNT_H_

#include <atomic>

namespace node_asgi::bridge {

enum class Live { kExchange, kReference, kEnvironment, kBlock, kKinds };

#if NODE_ASGI_COUNT_LIVE
inline constexpr bool kCountsLive = true;
#else
inline constexpr bool kCountsLive = false;
#endif

inline std::atomic<long>& LiveCounter(Live kind) {
  static std::atomic<long> counters[static_cast<int>(Live::kKinds)];
  return counters[static_cast<int>(kind)];
}

inline void CountUp(Live kind) {
  if constexpr (kCountsLive) LiveCounter(kind).fetch_add(1, std::memory_order_relaxed);
}
inline void CountDown(Live kind) {
  if constexpr (kCountsLive) LiveCounter(kind).fetch_sub(1, std::memory_order_relaxed);
}
inline long LiveCount(Live kind) { return LiveCounter(kind).load(std::memory_order_relaxed); }

// A member of this type counts its owner.
template <Live kind>
class Counted {
 public:
  Counted() { CountUp(kind); }
  Counted(const Counted&) { CountUp(kind); }
  Counted& operator=(const Counted&) = default;
  ~Counted() { CountDown(kind); }
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_LIVE_COUNT_H_
