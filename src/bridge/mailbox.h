// A queue with many producers and one consumer that wakes once per batch.
// Thread: Post any; Drain the consumer only. Owner: the consumer's side; producers share it by
// reference count. Teardown: Close() drops what waits and makes later posts no-ops, so that nobody
// wakes a dead consumer.
#ifndef NODE_ASGI_BRIDGE_MAILBOX_H_
#define NODE_ASGI_BRIDGE_MAILBOX_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

#include "bridge/cache_line.h"
#include "bridge/waker.h"

namespace node_asgi::bridge {

// Asks for the memory of an item that will soon be handled. Overloads are for items that point to
// what their handler needs.
template <class T>
void Prefetch(const T&) {}
// The same, for what is found there: when the item is the next.
template <class T>
void PrefetchNext(const T&) {}

template <class T>
class Mailbox {
 public:
  // One drain handles at most this many items, so that the consumer's other work gets its turn.
  static constexpr size_t kDrainCap = 256;

  enum class WakeUp { kNow, kLater };

  explicit Mailbox(Waker& waker) : waker_(waker) {}

  // False when the mailbox is closed; the item is left alone then. kLater leaves the wake-up to a
  // following Flush(), or to the next post with kNow.
  bool Post(T&& item, WakeUp when = WakeUp::kNow) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    waiting_.push_back(std::move(item));
    // The next place, which the consumer has written last.
    PrefetchForWriting<sizeof(T)>(waiting_.data() + waiting_.size());
    if (when == WakeUp::kNow) WakeLocked();
    return true;
  }

  // Wakes the consumer when something waits that nobody has woken it for.
  void Flush() {
    std::lock_guard lock(mutex_);
    if (!closed_ && !waiting_.empty()) WakeLocked();
  }

  // Hands items to `handle` in the order they were posted. True when more is left: call again soon.
  template <class Handle>
  bool Drain(Handle&& handle) {
    const bool rest = next_ < batch_.size();
    if (!rest) {
      batch_.clear();
      next_ = 0;
      std::lock_guard lock(mutex_);
      batch_.swap(waiting_);
      if (awake_) lag_ = Clock::now() - woken_;
      awake_ = false;
    }
    const size_t end = next_ + kDrainCap < batch_.size() ? next_ + kDrainCap : batch_.size();
    while (next_ < end) {
      if (next_ + 2 < batch_.size()) Prefetch(batch_[next_ + 2]);
      if (next_ + 1 < batch_.size()) PrefetchNext(batch_[next_ + 1]);
      // Moved out first: handle() may re-enter Drain through a nested loop.
      T item = std::move(batch_[next_++]);
      handle(std::move(item));
    }
    if (next_ < batch_.size()) return true;
    if (!rest) return false;  // what was posted meanwhile has sent a wake-up of its own
    // The wake-up for what waits may have become one with the call that worked off the rest.
    std::lock_guard lock(mutex_);
    return awake_ && !waiting_.empty();
  }

  // Looks for items for up to `longest` instead of waiting to be woken, which spares both sides a
  // system call and the consumer's way through the scheduler. True when there are some: call Drain.
  bool Spin(std::chrono::microseconds longest) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return false;
      if (next_ < batch_.size() || !waiting_.empty()) return true;
      arrived_.store(false, std::memory_order_relaxed);
      spinning_ = true;
    }
    const Clock::time_point ends = Clock::now() + longest;
    while (!arrived_.load(std::memory_order_acquire) && Clock::now() < ends) Pause();
    std::lock_guard lock(mutex_);
    spinning_ = false;
    return !waiting_.empty();
  }

  // Returns what nobody has seen yet, for the closer to fail or destroy on the right thread.
  std::vector<T> Close() {
    std::vector<T> rest;
    for (; next_ < batch_.size(); ++next_) rest.push_back(std::move(batch_[next_]));
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (T& item : waiting_) rest.push_back(std::move(item));
    waiting_.clear();
    return rest;
  }

  // How long the consumer took to answer its latest wake-up, or has let it wait so far.
  std::chrono::nanoseconds lag() const {
    std::lock_guard lock(mutex_);
    return awake_ ? Clock::now() - woken_ : lag_;
  }

  // How long the consumer has let its latest wake-up wait; zero once it has answered.
  std::chrono::nanoseconds unanswered() const {
    std::lock_guard lock(mutex_);
    return awake_ ? Clock::now() - woken_ : std::chrono::nanoseconds(0);
  }

  // Consumer: whether the batch that it drains has more items.
  bool has_more() const { return next_ < batch_.size(); }

  // Wake-ups sent so far; statistics.
  uint64_t wakeups() const {
    std::lock_guard lock(mutex_);
    return wakeups_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static void Pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  // Under the lock, so that Close() cannot end between the check and the wake.
  void WakeLocked() {
    if (awake_) return;
    awake_ = true;
    woken_ = Clock::now();
    if (spinning_) {
      arrived_.store(true, std::memory_order_release);
    } else {
      ++wakeups_;
      waker_.Wake();
    }
  }

  Waker& waker_;
  mutable std::mutex mutex_;
  std::vector<T> waiting_;
  bool awake_ = false;  // a wake-up was sent for what is in waiting_
  bool closed_ = false;
  bool spinning_ = false;             // the consumer looks by itself
  std::atomic<bool> arrived_{false};  // for it to see
  uint64_t wakeups_ = 0;
  Clock::time_point woken_{};
  std::chrono::nanoseconds lag_{0};

  // Consumer only, on a cache line that no producer waits for.
  alignas(kCacheLine) std::vector<T> batch_;
  size_t next_ = 0;
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_MAILBOX_H_
