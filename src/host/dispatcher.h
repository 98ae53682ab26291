// Takes requests in from any thread: admission, deadlines, and the way to the Python thread.
// Thread: any; the exchange's own members the thread that will drain its sink.
#ifndef NODE_ASGI_HOST_DISPATCHER_H_
#define NODE_ASGI_HOST_DISPATCHER_H_

#include <memory>

#include "bridge/exchange.h"
#include "host/application.h"

namespace node_asgi::host {

enum class Refusal {
  kNone,
  kBusy,    // maxConcurrency is reached
  kClosed,  // the handler is closed
};

// An exchange that is announced to the Python thread by Begin(), once the caller has filled its
// slot. Null when refused. Thread: one, of an application.
bridge::RefPtr<bridge::Exchange> Admit(Application& application, bridge::ExchangeRequest request,
                                       std::shared_ptr<bridge::ResponseSink> sink,
                                       Refusal* refusal);
// kLater leaves the wake-up of the Python thread to Runtime::Flush(), so that requests which arrive
// together share one.
void Begin(Application& application, const bridge::RefPtr<bridge::Exchange>& exchange,
           Runtime::WakeUp when = Runtime::WakeUp::kNow);

// The consumer of the exchange's sink has seen its response head, or its last event.
void OnAnswered(Runtime& runtime, bridge::Exchange& exchange);
void OnEnded(Runtime& runtime, bridge::Exchange& exchange);

}  // namespace node_asgi::host

#endif  // NODE_ASGI_HOST_DISPATCHER_H_
