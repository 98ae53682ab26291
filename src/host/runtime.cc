#include "host/runtime.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <utility>

#include "asgi/cycle.h"
#include "host/application.h"
#include "python/call.h"
#include "python/error.h"

namespace node_asgi::host {

using bridge::Failure;
using bridge::RequestEvent;
using bridge::ResponseEvent;
using python::GilHeld;

namespace {

constexpr std::chrono::milliseconds kFlushWatchPeriod{5};

}  // namespace

Runtime& Runtime::Get() {
  static Runtime& runtime = *new Runtime;
  return runtime;
}

bool Runtime::Start(const python::InterpreterConfig& config, Failure* failure) {
  std::lock_guard lock(mutex_);
  if (failure_) {
    *failure = *failure_;
    return false;
  }
  if (loop_) {
    if (config.program_name == config_.program_name) return true;
    *failure = {"ERR_PYTHON_MISMATCH", "one process holds one Python: it runs " +
                                           config_.program_name + ", and this handler asked for " +
                                           config.program_name};
    return false;
  }
  if (!python::LoadLibrary(config.libraries, config.version, config.native_symbols != "shared",
                           &library_, failure))
    return false;
  config_ = config;
  python::LoopThread::Callbacks callbacks;
  callbacks.on_event = [](const GilHeld& gil, bridge::RefPtr<bridge::Exchange> exchange,
                          RequestEvent event) {
    // Null once the app has ended: what still arrives is of no interest to anybody.
    const bridge::RefPtr<bridge::ExchangePeer> peer(exchange->peer());
    if (peer) peer->On(gil, *exchange, std::move(event));
  };
  callbacks.on_started = [this](const Failure* problem) { OnStarted(problem); };
  callbacks.on_notice = [this](const std::string& level, Failure problem) {
    Notice(level, std::move(problem));
  };
  callbacks.on_flush_pending = [this] { WatchFlushes(); };
  callbacks.prepare = &asgi::PrepareCycles;
  loop_ = std::make_unique<python::LoopThread>(config, std::move(callbacks));
  if (loop_->Start(failure)) return true;
  failure_ = std::make_unique<Failure>(*failure);
  return false;
}

bool Runtime::started() const {
  std::lock_guard lock(mutex_);
  return loop_ != nullptr;
}

python::LibraryInfo Runtime::library() const {
  std::lock_guard lock(mutex_);
  return library_;
}

void Runtime::OnStarted(const Failure* failure) {
  if (failure == nullptr) return;
  {
    std::lock_guard lock(mutex_);
    failure_ = std::make_unique<Failure>(*failure);
  }
  for (const python::LoopItem& item : loop_->Close()) Refuse(item);
}

void Runtime::Refuse(const python::LoopItem& item) {
  Failure failure;
  {
    std::lock_guard lock(mutex_);
    if (failure_) failure = *failure_;
  }
  if (item.call) item.call->refuse(failure);
  if (!item.exchange || item.event.kind != RequestEvent::Kind::kBegin) return;
  if (bridge::ExchangePeer* const peer = item.exchange->peer()) peer->OnRefused();
  ResponseEvent event{ResponseEvent::Kind::kFailed};
  event.failure = std::make_unique<Failure>(failure);
  item.exchange->Post(std::move(event), bridge::ResponseSink::Urgency::kNow);
}

void Runtime::Call(std::function<void(const GilHeld&)> call,
                   std::function<void(const Failure&)> refused) {
  python::LoopItem item;
  item.call = std::make_unique<python::LoopItem::Call>(
      python::LoopItem::Call{std::move(call), std::move(refused)});
  if (!loop_->Post(std::move(item))) Refuse(item);
}

void Runtime::Deliver(bridge::RefPtr<bridge::Exchange> exchange, RequestEvent event, WakeUp when) {
  python::LoopItem item{std::move(exchange), std::move(event)};
  if (!loop_->Post(std::move(item), when)) Refuse(item);
}

void Runtime::WatchFlushes() {
  // An app that blocks the loop after its response must not keep the response back: after two ticks
  // without a turn of the loop the deadline thread wakes the sinks itself.
  deadlines_.Repeat(kFlushWatchPeriod, [this] { return loop_->FlushIfStale(); });
}

void Runtime::SetNoticeSink(std::shared_ptr<bridge::ResponseSink> sink) {
  std::lock_guard lock(mutex_);
  notice_sink_ = std::move(sink);
}

void Runtime::Notice(const std::string& level, Failure failure) {
  std::shared_ptr<bridge::ResponseSink> sink;
  {
    std::lock_guard lock(mutex_);
    sink = notice_sink_;
  }
  if (!sink) return;
  ResponseEvent event{ResponseEvent::Kind::kNotice};
  event.body = level;
  event.failure = std::make_unique<Failure>(std::move(failure));
  sink->Post(std::move(event), bridge::ResponseSink::Urgency::kNow);
}

std::string Runtime::DumpStacks(std::chrono::milliseconds patience) {
  return started() ? loop_->watchdog().DumpStacks(patience) : "";
}

bool Runtime::StopBlocking(std::chrono::milliseconds timeout) {
  if (!started()) return true;
  // Blocked for as long as this may take: a close() before has waited for it already.
  if (loop_->unanswered() >= timeout) return false;
  struct Progress {
    std::mutex mutex;
    std::condition_variable changed;
    size_t stopping = 1;
    void Done() {
      std::lock_guard lock(mutex);
      --stopping;
      changed.notify_all();
    }
  };
  // Shared: when the timeout passes first, the Python thread still finishes with it.
  const auto progress = std::make_shared<Progress>();
  const auto ends = std::chrono::steady_clock::now() + timeout;
  const auto finish = [this, progress, ends](const GilHeld& gil) {
    // What the apps have not needed, less a tenth for those who wait here.
    const std::chrono::duration<double> rest = ends - std::chrono::steady_clock::now();
    const python::Owned seconds =
        python::Owned::Steal(python::PyFloat_FromDouble(std::max(0.01, rest.count() * 0.9)));
    loop_->Submit(
        gil, python::CallFunction(gil, "node_asgi.application", "stop_process", {seconds.get()}),
        [progress](const GilHeld&, python::Owned) { progress->Done(); });
  };
  Call(
      [this, timeout, finish](const GilHeld& gil) {
        const auto left = std::make_shared<size_t>(applications.size() + 1);
        const auto one_done = [left, finish](const GilHeld& held) {
          if (--*left == 0) finish(held);
        };
        const std::vector<Application*> all = applications;
        for (Application* application : all) {
          application->Stop(gil, timeout / 2,
                            [one_done](const GilHeld& held, std::string) { one_done(held); });
        }
        one_done(gil);
      },
      [progress](const Failure&) { progress->Done(); });
  std::unique_lock lock(progress->mutex);
  return progress->changed.wait_for(lock, timeout, [&] { return progress->stopping == 0; });
}

}  // namespace node_asgi::host
