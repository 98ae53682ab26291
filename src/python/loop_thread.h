// The one Python thread: starts the interpreter, runs the asyncio loop, and handles what other
// threads post. Thread: Post any; everything that takes a GilHeld the Python thread. Owner:
// host/runtime, which leaks it on purpose. Teardown: none; the thread is parked with the process.
#ifndef NODE_ASGI_PYTHON_LOOP_THREAD_H_
#define NODE_ASGI_PYTHON_LOOP_THREAD_H_

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/exchange.h"
#include "bridge/mailbox.h"
#include "bridge/waker.h"
#include "python/gil.h"
#include "python/interpreter.h"
#include "python/ref.h"
#include "python/watchdog.h"

namespace node_asgi::python {

// What another thread wants done on the Python thread: an exchange's event, or a call.
struct LoopItem {
  struct Call {
    std::function<void(const GilHeld&)> run;
    std::function<void(const bridge::Failure&)> refuse;  // instead, when Python never came up
  };
  bridge::RefPtr<bridge::Exchange> exchange{};
  bridge::RequestEvent event{};
  std::unique_ptr<Call> call{};
};

inline void Prefetch(const LoopItem& item) {
  bridge::PrefetchForWriting<sizeof(bridge::Exchange)>(item.exchange.get());
}
inline void PrefetchNext(const LoopItem& item) {
  if (item.event.kind != bridge::RequestEvent::Kind::kBegin || !item.exchange) return;
  bridge::PrefetchForWriting<bridge::kUsualHead>(item.exchange->request().head.data());
}

class LoopThread {
 public:
  struct Callbacks {
    // Makes what the layers above need in Python. False with a Python error set.
    std::function<bool(const GilHeld&)> prepare;
    // Each exchange event. Python thread.
    std::function<void(const GilHeld&, bridge::RefPtr<bridge::Exchange>, bridge::RequestEvent)>
        on_event;
    // The loop runs, or nothing ever will (failure set). Python thread, GIL held only without a
    // failure.
    std::function<void(const bridge::Failure*)> on_started;
    // Something escaped to the loop: an exception nobody awaits. `level` is 'error' or 'warning'.
    std::function<void(const std::string& level, bridge::Failure)> on_notice;
    // Sinks began to wait for a flush, and nobody watches whether it comes. Python thread.
    std::function<void()> on_flush_pending;
  };

  LoopThread(InterpreterConfig config, Callbacks callbacks);

  // Spawns the thread. False with a failure when the system refuses one.
  bool Start(bridge::Failure* failure);

  // False when the thread has stopped taking work; the item is left alone then.
  using WakeUp = bridge::Mailbox<LoopItem>::WakeUp;
  bool Post(LoopItem&& item, WakeUp when = WakeUp::kNow) {
    return mailbox_.Post(std::move(item), when);
  }
  void Flush() { mailbox_.Flush(); }
  // Python thread: whether more has come in the batch that the loop works through.
  bool has_more() const { return mailbox_.has_more(); }
  uint64_t wakeups() const { return mailbox_.wakeups(); }
  // How long the loop took to answer its latest wake-up, or has not answered it.
  std::chrono::nanoseconds lag() const { return mailbox_.lag(); }
  // How long the loop has not answered anybody.
  std::chrono::nanoseconds unanswered() const { return mailbox_.unanswered(); }

  // How long the loop looks for work before it sleeps; zero, the default, not at all. Any thread.
  void SetSpin(std::chrono::microseconds longest) { spin_ = longest.count(); }

  // Who can tell what the loop does while it does not answer.
  Watchdog& watchdog() { return watchdog_; }

  // Empties the mailbox for ever; for the case that Python never started.
  std::vector<LoopItem> Close() { return mailbox_.Close(); }

  // A new asyncio.Future of the loop.
  Owned CreateFuture(const GilHeld& gil);
  // Wakes whoever waits for the Future; harmless when it is done or cancelled.
  static void WakeFuture(const GilHeld& gil, Borrowed future);

  // An asyncio.Task that runs `coroutine` in a fresh copy of the loop's context. From 3.12 its
  // first step has run when this returns. Honours a task factory that the app set.
  Owned CreateTask(const GilHeld& gil, Borrowed coroutine);

  // Calls function(*arguments) on the loop after `seconds`. Returns the TimerHandle.
  Owned CallLater(const GilHeld& gil, double seconds, Borrowed function);

  // Control plane: asyncio.run_coroutine_threadsafe with a watched future. `done` gets the result,
  // or null with the Python error set.
  void Submit(const GilHeld& gil, Owned coroutine,
              std::function<void(const GilHeld&, Owned result)> done);

  // Flushes the sink at the end of this batch of the loop's work.
  void FlushLater(const GilHeld& gil, const std::shared_ptr<bridge::ResponseSink>& sink);
  // Flushes what has waited since the call before. False once nothing has waited for a while: the
  // caller stops calling, and on_flush_pending asks for it again. The deadline thread calls it at a
  // steady pace.
  bool FlushIfStale();

 private:
  void Run();
  bool Prepare(const GilHeld& gil, Owned* run);
  void Drain(const GilHeld& gil);
  void Spin(const GilHeld& gil);
  void FlushNow();

  const InterpreterConfig config_;
  const Callbacks callbacks_;
  bridge::FdWaker waker_;
  bridge::Mailbox<LoopItem> mailbox_;

  std::atomic<int64_t> spin_{0};  // microseconds

  Watchdog watchdog_;

  std::mutex flush_mutex_;
  // Written by the Python thread alone, which may therefore read it without the lock.
  std::vector<std::shared_ptr<bridge::ResponseSink>> to_flush_;
  uint64_t flushes_ = 0;
  bool flush_watched_ = false;
  uint64_t flushes_at_last_watch_ = 0;
  int quiet_watches_ = 0;

  // Python thread.
  Owned loop_;
  Owned create_future_;
  Owned call_soon_;
  Owned call_later_;
  Owned get_task_factory_;
  Owned create_task_;  // loop.create_task, for loops with a task factory
  Owned task_type_;
  Owned task_keywords_;
  Owned drain_function_;
  Owned flush_function_;
  Owned spin_function_;
  bool spin_scheduled_ = false;
  bool flush_scheduled_ = false;
  bool tasks_are_eager_ = false;
  // Asked for once a batch, in which no code of an app runs unless tasks are eager.
  bool draining_ = false;
  bool has_factory_ = false;
  bool factory_known_ = false;
};

}  // namespace node_asgi::python

#endif  // NODE_ASGI_PYTHON_LOOP_THREAD_H_
