// The process's one Python: its thread, its deadlines, and whether it started.
// Thread: any, unless a method takes a GilHeld. Owner: the process; leaked on purpose, because
// threads use it until the very end.
#ifndef NODE_ASGI_HOST_RUNTIME_H_
#define NODE_ASGI_HOST_RUNTIME_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bridge/failure.h"
#include "bridge/mailbox.h"
#include "bridge/response_sink.h"
#include "host/deadlines.h"
#include "host/loop_watch.h"
#include "python/interpreter.h"
#include "python/library.h"
#include "python/loop_thread.h"

namespace node_asgi::host {

class Application;

class Runtime {
 public:
  using WakeUp = bridge::Mailbox<python::LoopItem>::WakeUp;

  static Runtime& Get();

  // Starts Python once; later calls attach when they mean the same interpreter and fail with
  // ERR_PYTHON_MISMATCH, naming both, when they do not. Returns before Python is up: failures to
  // start arrive with whatever was posted.
  bool Start(const python::InterpreterConfig& config, bridge::Failure* failure);
  bool started() const;

  // Runs `call` on the Python thread, or `refused` (on any thread) when Python never came up.
  void Call(std::function<void(const python::GilHeld&)> call,
            std::function<void(const bridge::Failure&)> refused);
  // Delivers an event to an exchange's peer. A begun exchange that cannot be delivered is failed.
  void Deliver(bridge::RefPtr<bridge::Exchange> exchange, bridge::RequestEvent event,
               WakeUp when = WakeUp::kNow);
  // Wakes the Python thread for what was delivered with kLater.
  void Flush() { loop_->Flush(); }

  // Blocks the calling thread until every application has stopped and Python has run its exit
  // functions, or the timeout has passed. For the end of the process. Returns whether all ended in
  // time.
  bool StopBlocking(std::chrono::milliseconds timeout);

  // The stack of every Python thread; empty before Python has started. Blocks up to `patience`.
  std::string DumpStacks(std::chrono::milliseconds patience);

  python::LoopThread& loop() { return *loop_; }
  Deadlines& deadlines() { return deadlines_; }
  python::LibraryInfo library() const;
  uint64_t wakeups() const { return loop_ ? loop_->wakeups() : 0; }
  std::chrono::nanoseconds loop_lag() const {
    return loop_ ? loop_->lag() : std::chrono::nanoseconds(0);
  }

  // Python thread.
  LoopWatch loop_watch{*this};
  std::vector<Application*> applications;  // those that are loaded

  // Who hears of errors that belong to no request: the latest environment that asked.
  void SetNoticeSink(std::shared_ptr<bridge::ResponseSink> sink);
  void Notice(const std::string& level, bridge::Failure failure);

 private:
  Runtime() = default;
  void OnStarted(const bridge::Failure* failure);
  void Refuse(const python::LoopItem& item);
  void WatchFlushes();

  mutable std::mutex mutex_;
  python::InterpreterConfig config_;
  python::LibraryInfo library_;
  std::unique_ptr<bridge::Failure> failure_;
  std::shared_ptr<bridge::ResponseSink> notice_sink_;
  std::unique_ptr<python::LoopThread> loop_;
  Deadlines deadlines_;
};

}  // namespace node_asgi::host

#endif  // NODE_ASGI_HOST_RUNTIME_H_
