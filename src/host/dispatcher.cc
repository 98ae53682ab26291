#include "host/dispatcher.h"

#include <string>
#include <utility>

#include "bridge/trace.h"

namespace node_asgi::host {

using bridge::Exchange;
using bridge::Failure;
using bridge::RefPtr;
using bridge::RequestEvent;
using bridge::ResponseEvent;

namespace {

enum class Limit { kStart, kResponse };

uint64_t ArmTimeout(Application& application, const RefPtr<Exchange>& exchange, Limit limit,
                    int milliseconds) {
  if (milliseconds <= 0) return 0;
  Runtime& runtime = application.runtime();
  return runtime.deadlines().Arm(std::chrono::milliseconds(milliseconds), [&runtime, exchange,
                                                                           limit, milliseconds] {
    if (limit == Limit::kStart && exchange->answered.load()) return;
    ResponseEvent event{ResponseEvent::Kind::kFailed};
    event.failure = std::make_unique<Failure>(Failure{
        "ERR_ASGI_TIMEOUT",
        std::string(limit == Limit::kStart ? "no response started" : "the response did not end") +
            " within " + std::to_string(milliseconds) + " ms (option " +
            (limit == Limit::kStart ? "startTimeout" : "responseTimeout") + ")"});
    exchange->Post(std::move(event), bridge::ResponseSink::Urgency::kNow);
    runtime.Deliver(exchange, {RequestEvent::Kind::kCancel});
  });
}

}  // namespace

RefPtr<Exchange> Admit(Application& application, bridge::ExchangeRequest request,
                       std::shared_ptr<bridge::ResponseSink> sink, Refusal* refusal) {
  *refusal = Refusal::kNone;
  if (application.closing.load()) {
    *refusal = Refusal::kClosed;
    return nullptr;
  }
  const size_t cap = application.options().max_concurrency;
  if (cap > 0 && application.in_flight() >= cap) {
    *refusal = Refusal::kBusy;
    return nullptr;
  }
  application.admitted.fetch_add(1, std::memory_order_relaxed);
  return bridge::MakeRef<Exchange>(std::move(request), std::move(sink), &application);
}

void Begin(Application& application, const RefPtr<Exchange>& exchange, Runtime::WakeUp when) {
  const ApplicationOptions& options = application.options();
  exchange->start_deadline =
      ArmTimeout(application, exchange, Limit::kStart, options.start_timeout);
  // A WebSocket has no response that ends.
  const int response_timeout = exchange->is_websocket ? 0 : options.response_timeout;
  exchange->response_deadline =
      ArmTimeout(application, exchange, Limit::kResponse, response_timeout);
  bridge::Trace(bridge::Stage::kSent);
  application.runtime().Deliver(exchange, {RequestEvent::Kind::kBegin}, when);
}

void OnAnswered(Runtime& runtime, Exchange& exchange) {
  if (exchange.start_deadline != 0) {
    runtime.deadlines().Disarm(std::exchange(exchange.start_deadline, 0));
  }
}

void OnEnded(Runtime& runtime, Exchange& exchange) {
  OnAnswered(runtime, exchange);
  if (exchange.response_deadline != 0) {
    runtime.deadlines().Disarm(std::exchange(exchange.response_deadline, 0));
  }
}

}  // namespace node_asgi::host
