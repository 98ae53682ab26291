// Deadlines on a thread of their own, so that neither a blocked JavaScript thread nor a blocked
// Python thread can delay one. Thread: any for the methods; what is armed runs on the deadline
// thread, which never takes the GIL. Owner: host/runtime. Teardown: leaked on purpose with its
// thread.
#ifndef NODE_ASGI_HOST_DEADLINES_H_
#define NODE_ASGI_HOST_DEADLINES_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace node_asgi::host {

class Deadlines {
 public:
  Deadlines();
  ~Deadlines();
  Deadlines(const Deadlines&) = delete;
  Deadlines& operator=(const Deadlines&) = delete;

  // Runs `expired` once after `delay`, unless disarmed before. Never returns 0.
  uint64_t Arm(std::chrono::milliseconds delay, std::function<void()> expired);
  // Harmless for 0, and for a deadline that has passed.
  void Disarm(uint64_t deadline);
  // Runs `tick` every `period` until it returns false.
  void Repeat(std::chrono::milliseconds period, std::function<bool()> tick);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<uint64_t> next_{1};
};

}  // namespace node_asgi::host

#endif  // NODE_ASGI_HOST_DEADLINES_H_
