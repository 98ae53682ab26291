// Writes a batch of response events as two flat arrays: numbers into memory that JavaScript sees,
// values into an array. One call into JavaScript takes both. Thread: a JavaScript thread. Owner: a
// JsMailbox.
#ifndef NODE_ASGI_NODE_RESPONSE_WRITER_H_
#define NODE_ASGI_NODE_RESPONSE_WRITER_H_

#include <cstdint>
#include <vector>

#include "bridge/events.h"
#include "bridge/mailbox.h"
#include "node/napi_config.h"

namespace node_asgi::node {

class ResponseWriter {
 public:
  // Numbers of an event: kind, slot, status or amount. lib/exchange.js reads them by the same
  // layout.
  static constexpr size_t kNumbers = 3;
  static constexpr size_t kCapacity = bridge::Mailbox<bridge::ResponseEvent>::kDrainCap;
  // Bodies up to this size travel as latin-1 strings, which cost less than a Buffer and which
  // Node's http writes together with the head.
  static constexpr size_t kStringBody = 8192;
  // From here on a body keeps its memory, which the Buffer only lends: copying it would cost more
  // than that.
  static constexpr size_t kOwnedBody = 32768;

  explicit ResponseWriter(Napi::Env env);

  // In a handle scope that lives until Values().
  void Add(Napi::Env env, bridge::ResponseEvent& event, uint32_t slot);
  size_t count() const { return count_; }
  // The values since the last call, in the order of the events; kinds decide how many each has.
  Napi::Array TakeValues(Napi::Env env);
  Napi::Value numbers() const { return numbers_.Value(); }

 private:
  Napi::Value Body(Napi::Env env, std::string& body);

  Napi::Reference<Napi::Uint32Array> numbers_;
  uint32_t* number_data_;
  std::vector<napi_value> values_;
  size_t count_ = 0;
};

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_RESPONSE_WRITER_H_
