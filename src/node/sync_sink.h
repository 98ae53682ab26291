// Collects one response for a thread that waits for it: handleRequestSync.
// Thread: Post any; Wait the waiting thread. Owner: both, by shared pointer.
#ifndef NODE_ASGI_NODE_SYNC_SINK_H_
#define NODE_ASGI_NODE_SYNC_SINK_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "bridge/exchange.h"
#include "bridge/response_sink.h"

namespace node_asgi::node {

class SyncSink final : public bridge::ResponseSink {
 public:
  struct Result {
    bool ended = false;
    int status = 0;
    std::string headers;
    std::string body;
    std::unique_ptr<bridge::Failure> failure;
  };

  void Post(bridge::ResponseEvent event, Urgency urgency) override;
  void Flush() override {}

  // Blocks until the last event, or the timeout (0: for ever); then result().ended tells which.
  Result Wait(std::chrono::milliseconds timeout);

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  Result result_;
};

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_SYNC_SINK_H_
