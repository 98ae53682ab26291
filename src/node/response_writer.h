// Writes a batch of response events flat: numbers into memory that JavaScript sees, values as
// arguments. One call into JavaScript takes both. Thread: a JavaScript thread. Owner: a JsMailbox.
#ifndef NODE_ASGI_NODE_RESPONSE_WRITER_H_
#define NODE_ASGI_NODE_RESPONSE_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bridge/events.h"
#include "bridge/mailbox.h"
#include "node/napi_config.h"

namespace node_asgi::node {

class ResponseWriter {
 public:
  // Numbers of an event: kind, slot, status or amount. lib/hub.js reads them by the same
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
  // (count, numbers, ...values) of the events so far, which are forgotten: the values in the order
  // of the events; kinds decide how many each has. As arguments, because to fill an array costs a
  // call into the engine for each of them.
  std::vector<napi_value> TakeArguments(Napi::Env env);
  // Forgets the events so far.
  void Clear();

  // Memory of response heads that were added, for the heads of the next requests: theirs comes back
  // as the response's (bridge::Exchange::request()).
  std::vector<std::string>& spare_heads() { return spare_heads_; }

 private:
  static constexpr size_t kBeforeValues = 2;
  static constexpr size_t kSpareHead = 2048;  // bytes; larger ones are rare, and not kept

  Napi::Value Body(Napi::Env env, std::string& body);

  Napi::Reference<Napi::Uint32Array> numbers_;
  uint32_t* number_data_;
  std::vector<napi_value> arguments_;
  std::vector<std::string> spare_heads_;
  size_t count_ = 0;
};

}  // namespace node_asgi::node

#endif  // NODE_ASGI_NODE_RESPONSE_WRITER_H_
