// Where an exchange's response events go: the one interface through which replies travel towards
// Node. Thread: any. Implementations drop events once their consumer is gone.
#ifndef NODE_ASGI_BRIDGE_RESPONSE_SINK_H_
#define NODE_ASGI_BRIDGE_RESPONSE_SINK_H_

#include "bridge/events.h"

namespace node_asgi::bridge {

class ResponseSink {
 public:
  enum class Urgency {
    kNow,    // wake the consumer unless it is awake already
    kBatch,  // may wait for the Flush() at the end of the Python thread's batch
  };

  virtual ~ResponseSink() = default;
  virtual void Post(ResponseEvent event, Urgency urgency) = 0;
  virtual void Flush() = 0;
  // For the events of exchanges with the ability kLentBody.
  virtual BodyBlocks* body_blocks() { return nullptr; }
};

}  // namespace node_asgi::bridge

#endif  // NODE_ASGI_BRIDGE_RESPONSE_SINK_H_
