#include "host/application.h"

#include <signal.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "asgi/http_cycle.h"
#include "asgi/websocket_cycle.h"
#include "bridge/trace.h"
#include "python/call.h"
#include "python/error.h"
#include "python/function.h"

namespace node_asgi::host {

using namespace python;  // NOLINT(build/namespaces): the C API table reads as ordinary C API
using bridge::Exchange;
using bridge::Failure;
using bridge::RefPtr;
using bridge::RequestEvent;
using bridge::ResponseEvent;
using Urgency = bridge::ResponseSink::Urgency;

Application::Application(Runtime& runtime, ApplicationOptions options,
                         std::shared_ptr<bridge::ResponseSink> sink)
    : runtime_(runtime), options_(std::move(options)), sink_(std::move(sink)) {}

void Application::Load(const GilHeld& gil, std::function<void(const Failure*)> done) {
  load_callbacks_.push_back(std::move(done));
  state_ = State::kLoading;
  keep_alive_ = RefPtr<Application>(this);
  runtime_.applications.push_back(this);
  signals_ = std::make_unique<SignalGuard>();
  const RefPtr<Application> self(this);
  const Owned target = Text(gil, options_.target);
  const Owned docroot = Text(gil, options_.docroot);
  const Owned mode = Text(gil, options_.lifespan);
  const Owned notice = MakeFunction(gil, [self](const GilHeld& held, Borrowed arguments) {
    self->Report(TextOf(held, PyTuple_GetItem(arguments.get(), 0)),
                 Describe(held, PyTuple_GetItem(arguments.get(), 1), "ERR_ASGI_LIFESPAN"));
    return Owned::Borrow(PyNone());
  });
  Owned log = Owned::Borrow(PyNone());
  if (options_.logs) {
    log = MakeFunction(gil, [self](const GilHeld& held, Borrowed arguments) {
      self->Report("log", {"", TextOf(held, PyTuple_GetItem(arguments.get(), 0))});
      return Owned::Borrow(PyNone());
    });
  }
  const Owned fresh = Owned::Steal(PyBool_FromLong(options_.fresh ? 1 : 0));
  Owned start =
      CallFunction(gil, "node_asgi.application", "start",
                   {target.get(), docroot.get(), mode.get(), fresh.get(), notice.get(), log.get()});
  runtime_.loop().Submit(gil, std::move(start), [self](const GilHeld& held, Owned loaded) {
    if (loaded && self->FinishLoad(held, loaded)) {
      self->EndLoad(held, nullptr);
    } else {
      const Failure failure = TakeFailure(held, "ERR_ASGI_STARTUP");
      self->EndLoad(held, &failure);
    }
  });
}

bool Application::FinishLoad(const GilHeld& gil, Borrowed loaded) {
  app_ = Owned::Borrow(PyTuple_GetItem(loaded.get(), 0));
  lifespan_ = Owned::Borrow(PyTuple_GetItem(loaded.get(), 1));
  const Borrowed state = PyTuple_GetItem(loaded.get(), 2);
  const Owned calls = Owned::Steal(PyImport_ImportModule("node_asgi.calls"));
  if (calls) calls_ = GetAttribute(gil, calls, "app");
  return calls_ && scopes_.Prepare(gil, {options_.spec_version},
                                   state.get() == PyNone() ? Owned() : Owned::Borrow(state));
}

void Application::EndLoad(const GilHeld& gil, const Failure* failure) {
  for (const int number : signals_->Restore()) {
    Report("warning", {"ERR_PYTHON_SIGNAL_HANDLER",
                       std::string("the app set a handler for ") + strsignal(number) + " (signal " +
                           std::to_string(number) + "); it was given back to Node"});
  }
  signals_.reset();
  if (state_ == State::kLoading) state_ = failure == nullptr ? State::kReady : State::kFailed;
  if (failure != nullptr) load_failure_ = *failure;
  for (const auto& callback : std::exchange(load_callbacks_, {})) callback(failure);
  for (const RefPtr<Exchange>& exchange : std::exchange(waiting_, {})) Begin(gil, exchange);
}

void Application::On(const GilHeld& gil, Exchange& exchange, RequestEvent event) {
  const RefPtr<Exchange> held(&exchange);
  if (event.kind == RequestEvent::Kind::kBegin) return Begin(gil, held);
  if (event.kind == RequestEvent::Kind::kDisconnect || event.kind == RequestEvent::Kind::kCancel) {
    // Gone before the app was ready for it.
    const auto found = std::find(waiting_.begin(), waiting_.end(), held);
    if (found == waiting_.end()) return;
    waiting_.erase(found);
    exchange.set_peer(nullptr);
    ended.fetch_add(1);
    return;
  }
  exchange.early_events.push_back(std::move(event));
}

void Application::Begin(const GilHeld& gil, const RefPtr<Exchange>& exchange) {
  switch (state_) {
    case State::kReady:
      return Admit(gil, exchange);
    case State::kFailed:
      return Refuse(*exchange, load_failure_);
    case State::kNew:
    case State::kLoading:
      waiting_.push_back(exchange);
      return;
    case State::kStopping:
    case State::kStopped:
      return Refuse(*exchange, {"ERR_ASGI_CLOSED", "the handler is closed"});
  }
}

void Application::OnRefused() {
  failed.fetch_add(1);
  ended.fetch_add(1);
}

void Application::Refuse(Exchange& exchange, Failure failure) {
  OnRefused();
  exchange.set_peer(nullptr);
  ResponseEvent event{ResponseEvent::Kind::kFailed};
  event.failure = std::make_unique<Failure>(std::move(failure));
  exchange.Post(std::move(event), Urgency::kNow);
}

RefPtr<asgi::Cycle> Application::MakeCycle(const RefPtr<Exchange>& exchange,
                                           const bridge::RequestHead& head) {
  RefPtr<asgi::CycleHost> host(this);
  asgi::Cycle* cycle = nullptr;
  if (exchange->is_websocket) {
    cycle = new asgi::WebSocketCycle(std::move(host), exchange, head);
  } else {
    cycle = new asgi::HttpCycle(std::move(host), exchange, head);
  }
  return RefPtr<asgi::Cycle>(cycle);
}

void Application::Admit(const GilHeld& gil, const RefPtr<Exchange>& exchange) {
  bridge::Trace(bridge::Stage::kDrained);
  runtime_.loop_watch.Wake();
  const bridge::ExchangeRequest& request = exchange->request();
  bridge::RequestHead head;
  if (!bridge::RequestHead::Split(request.head, &head)) {
    return Refuse(*exchange, {"ERR_ASGI_REQUEST", "the request's head lacks a field"});
  }
  if (!head.HasValidHost()) {
    return Refuse(*exchange,
                  {"ERR_ASGI_REQUEST", "expected at most one Host field, of the form host[:port]"});
  }
  Owned scope = scopes_.Build(gil, head, request);
  if (!scope) return Refuse(*exchange, TakeFailure(gil, "ERR_ASGI_REQUEST"));
  const Owned app = Owned::Borrow((request.abilities & bridge::kCall) != 0 ? calls_ : app_);
  const RefPtr<asgi::Cycle> cycle = MakeCycle(exchange, head);
  exchange->set_peer(RefPtr<bridge::ExchangePeer>(cycle.get()));
  cycle->place = cycles_.size();
  cycles_.push_back(cycle.get());
  if (!exchange->early_events.empty()) {
    for (RequestEvent& event : std::exchange(exchange->early_events, {}))
      cycle->On(gil, *exchange, std::move(event));
  }
  if (cycle->Start(gil, app, std::move(scope))) return;
  const Failure failure = TakeFailure(gil, "ERR_PYTHON_EXCEPTION");
  if (Forget(*cycle)) Refuse(*exchange, failure);
}

void Application::OnCycleEnded(const GilHeld&, asgi::Cycle& cycle) {
  if (Forget(cycle)) ended.fetch_add(1);
}

bool Application::Forget(asgi::Cycle& cycle) {
  const size_t place = std::exchange(cycle.place, asgi::Cycle::kNowhere);
  if (place == asgi::Cycle::kNowhere) return false;
  cycles_[place] = cycles_.back();
  cycles_[place]->place = place;
  cycles_.pop_back();
  cycle.place = asgi::Cycle::kNowhere;  // it may have been the last
  return true;
}

void Application::Report(const std::string& level, Failure failure) {
  ResponseEvent event{ResponseEvent::Kind::kNotice};
  event.amount = options_.id;
  event.body = level;
  event.failure = std::make_unique<Failure>(std::move(failure));
  sink_->Post(std::move(event), Urgency::kNow);
}

void Application::Stop(const GilHeld& gil, std::chrono::milliseconds timeout,
                       std::function<void(const GilHeld&, std::string)> done) {
  closing = true;
  if (state_ == State::kStopped) return done(gil, stop_report_);
  stop_callbacks_.push_back(std::move(done));
  if (state_ == State::kStopping) return;
  if (state_ == State::kNew || state_ == State::kFailed) {
    return FinishStop(gil,
                      R"({"drained":0,"cancelled":0,"timedOut":false,"lifespan":"unsupported"})");
  }
  const RefPtr<Application> self(this);
  if (state_ == State::kLoading) {
    // Startup has begun, so shutdown must follow: wait for its end.
    load_callbacks_.push_back([self, timeout](const Failure*) {
      self->runtime_.Call(
          [self, timeout](const GilHeld& held) { self->Stop(held, timeout, [](auto&, auto) {}); },
          [](const Failure&) {});
    });
    return;
  }
  state_ = State::kStopping;
  // Those that never end by themselves are told at once, not after the time to drain.
  for (const auto& cycle : Cycles()) {
    if (cycle->endless()) cycle->Close(gil);
  }
  const Owned in_flight = MakeFunction(gil, [self](const GilHeld&, Borrowed) {
    return Owned::Steal(PyLong_FromLongLong(static_cast<long long>(self->cycles_.size())));
  });
  const auto for_each = [self](void (asgi::Cycle::*action)(const GilHeld&)) {
    return [self, action](const GilHeld& held, Borrowed) {
      for (const auto& cycle : self->Cycles()) ((*cycle).*action)(held);
      return Owned::Borrow(PyNone());
    };
  };
  const Owned tell = MakeFunction(gil, for_each(&asgi::Cycle::Close));
  const Owned cancel = MakeFunction(gil, for_each(&asgi::Cycle::Cancel));
  const Owned seconds =
      Owned::Steal(PyFloat_FromDouble(static_cast<double>(timeout.count()) / 1000.0));
  Owned stop =
      CallFunction(gil, "node_asgi.application", "stop",
                   {lifespan_.get(), in_flight.get(), tell.get(), cancel.get(), seconds.get()});
  runtime_.loop().Submit(gil, std::move(stop), [self](const GilHeld& held, Owned report) {
    if (!report) self->Report("error", TakeFailure(held, "ERR_ASGI_LIFESPAN"));
    self->FinishStop(held,
                     report ? TextOf(held, report)
                            : R"({"drained":0,"cancelled":0,"timedOut":true,"lifespan":"failed"})");
  });
}

std::vector<RefPtr<asgi::Cycle>> Application::Cycles() const {
  std::vector<RefPtr<asgi::Cycle>> cycles;
  for (asgi::Cycle* cycle : cycles_) cycles.emplace_back(cycle);
  return cycles;
}

void Application::FinishStop(const GilHeld& gil, const std::string& report) {
  for (const auto& cycle : Cycles()) cycle->Abandon(gil);
  state_ = State::kStopped;
  stop_report_ = report;
  app_.Reset();
  calls_.Reset();
  lifespan_.Reset();
  scopes_ = asgi::ScopeBuilder();
  std::erase(runtime_.applications, this);
  for (const auto& callback : std::exchange(stop_callbacks_, {})) callback(gil, report);
  const RefPtr<Application> last = std::move(keep_alive_);
}

}  // namespace node_asgi::host
