#include "node/sync_sink.h"

#include <utility>

#include "host/runtime.h"

namespace node_asgi::node {

using Kind = bridge::ResponseEvent::Kind;

void SyncSink::Post(bridge::ResponseEvent event, Urgency) {
  size_t taken = 0;
  {
    std::lock_guard lock(mutex_);
    if (result_.ended) return;
    if (event.kind == Kind::kWhole || event.kind == Kind::kStart) {
      result_.status = event.status;
      result_.headers = std::move(event.headers);
    }
    if (event.failure) result_.failure = std::move(event.failure);
    result_.body += event.body;
    if (event.kind == Kind::kChunk) taken = event.body.size();
    result_.ended = event.last();
    if (result_.ended) ended_.notify_all();
  }
  if (taken == 0) return;
  bridge::RequestEvent credit{bridge::RequestEvent::Kind::kCredit};
  credit.amount = taken;
  host::Runtime::Get().Deliver(std::move(event.exchange), std::move(credit));
}

SyncSink::Result SyncSink::Wait(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const auto ended = [this] { return result_.ended; };
  if (timeout.count() == 0) {
    ended_.wait(lock, ended);
  } else {
    ended_.wait_for(lock, timeout, ended);
  }
  Result result = std::move(result_);
  result_.ended = true;  // whatever comes later is dropped
  return result;
}

}  // namespace node_asgi::node
