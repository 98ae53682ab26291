// Notices that something blocks the event loop, and says what. While requests are under way it
// calls the loop at a steady pace from the deadline thread; an answer that does not come in time is
// a warning with the stack that is in its way. Thread: Wake the Python thread; the rest is its own
// business. Owner: host/runtime. Teardown: none.
#ifndef NODE_ASGI_HOST_LOOP_WATCH_H_
#define NODE_ASGI_HOST_LOOP_WATCH_H_

#include <chrono>
#include <cstdint>
#include <mutex>

namespace node_asgi::host {

class Runtime;

class LoopWatch {
 public:
  explicit LoopWatch(Runtime& runtime) : runtime_(runtime) {}

  // A request has begun. Cheap while the watch is on.
  void Wake();

 private:
  using Clock = std::chrono::steady_clock;

  bool Tick(uint64_t round);
  void Call();
  void Warn(Clock::time_point since);

  Runtime& runtime_;
  bool on_ = false;  // Python thread
  std::mutex mutex_;
  uint64_t round_ = 0;  // of calls; a later one ends those before it
  bool called_ = false;
  bool warned_ = false;  // of this call
  Clock::time_point since_;
  Clock::time_point last_warning_;
};

}  // namespace node_asgi::host

#endif  // NODE_ASGI_HOST_LOOP_WATCH_H_
