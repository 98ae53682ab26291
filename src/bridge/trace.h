// Where the time of a request goes when it is the only one: a time stamp at each hand-over, in
// builds with NODE_ASGI_TRACE (preset `trace`, bench/drivers/traced.js). In other builds there is
// nothing of it. Thread: whichever has the request; with several in flight the figures mean
// nothing.
#ifndef NODE_ASGI_BRIDGE_TRACE_H_
#define NODE_ASGI_BRIDGE_TRACE_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace node_asgi::bridge {

// Each is the end of the stretch of way that its comment tells.
enum class Stage : size_t {
  kEntered,    // JavaScript: the last promise resolved, the caller's code, the request read
  kSent,       // admitted and put into Python's mailbox
  kDrained,    // Python's thread woken
  kScheduled,  // scope, receive, send and task made
  kRuns,       // the event loop's way to the task's first step
  kPosted,     // the app, and its response read
  kTaken,      // Node's thread woken
  kGiven,      // values for JavaScript made
  kCount,
};

inline constexpr std::array<const char*, static_cast<size_t>(Stage::kCount)> kStageNames = {
    "JavaScript and the caller", "admitted and posted", "wake-up of Python",
    "scope and task made",       "the loop's turn",     "the app and its messages",
    "wake-up of Node",           "values made"};

#ifdef NODE_ASGI_TRACE
struct Traced {
  std::array<int64_t, static_cast<size_t>(Stage::kCount)> nanoseconds{};
  int64_t requests = 0;
  std::chrono::steady_clock::time_point last{};
};
inline Traced traced;

inline void Trace(Stage stage) {
  const auto now = std::chrono::steady_clock::now();
  traced.nanoseconds[static_cast<size_t>(stage)] +=
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - traced.last).count();
  traced.last = now;
  if (stage == Stage::kEntered) ++traced.requests;
}
#else
inline void Trace(Stage) {}
#endif

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_TRACE_H_
